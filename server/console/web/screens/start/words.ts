import { words } from '../../words/language.js'

export const startWords = words({
  zh: {
    title: '开始使用鸿雁',
    owner: '创建所有者',
    ownerLead: '服务器启动时在终端打印了一个设置码，凭它创建第一个账号。',
    code: '设置码',
    codeHint: '在运行服务器的终端里，「Set-up code」后面。',
    passwordHint: '至少 10 个字符。',
    create: '创建并继续',
    connect: '接入账号',
    connectLead: '先用沙盒看看效果，或者直接接入自己的账号。',
    sandbox: '用沙盒试一试',
    sandboxLead: '在本机启动一个模拟的微信：两个账号、一批虚构的用户和发送权，还有一个正在运行的活动。随时可以移除。',
    sandboxGo: '一键准备沙盒',
    sandboxBusy: '正在准备：账号、用户、发送权、活动…',
    own: '接入自己的账号',
    ownLead: '需要小程序或服务号的 AppID 和 AppSecret，或请管理员扫码授权。',
    later: '以后再说',
    steps: (at: string, of: string) => `第 ${at} 步，共 ${of} 步`
  },
  en: {
    title: 'Set up Hongyan',
    owner: 'Create the owner',
    ownerLead: 'The server printed a set-up code in its terminal when it started; it makes the first operator.',
    code: 'Set-up code',
    codeHint: 'In the terminal the server runs in, after “Set-up code”.',
    passwordHint: 'At least 10 characters.',
    create: 'Create and go on',
    connect: 'Connect an account',
    connectLead: 'See it work with the sandbox first, or connect an account of your own.',
    sandbox: 'Try with the sandbox',
    sandboxLead:
      'Starts a simulated WeChat on this machine: two accounts, invented people with rights to send, and a running campaign. It can be removed at any time.',
    sandboxGo: 'Prepare the sandbox',
    sandboxBusy: 'Preparing accounts, people, rights and a campaign…',
    own: 'Connect your own account',
    ownLead: 'With the AppID and AppSecret of a mini-program or service account, or by its administrator’s consent.',
    later: 'Later',
    steps: (at: string, of: string) => `Step ${at} of ${of}`
  }
})
