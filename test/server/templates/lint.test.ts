import t from 'tap'
import { LEGACY_LIBRARY, SUBSCRIBE_LIBRARY } from '../../../server/sandbox/library.js'
import { LINT_RULES, lintTemplate, type LintInput } from '../../../server/templates/lint.js'

const GOOD: LintInput = {
  title: '订单发货提醒',
  keywords: [
    { name: '订单编号', example: 'D20190608017' },
    { name: '发货时间', example: '2019年6月8日 16:40' },
    { name: '商品名称', example: '晨读手账本' }
  ]
}
const title = (text: string, otherTitles?: string[]): LintInput => ({ ...GOOD, title: text, otherTitles })
const keyword = (name: string, example: string | null = 'A1'): LintInput => ({ ...GOOD, keywords: [{ name, example }] })
const keywords = (...names: string[]): LintInput => ({
  ...GOOD,
  keywords: names.map((name) => ({ name, example: null }))
})
const content = (text: string): LintInput => ({ ...GOOD, content: { thing1: text } })

type Row = { rule: string; bad: [input: LintInput, pointer: string, part: string][]; good: LintInput[] }

/** Per rule what it finds, where, in which words; and what it has to let through. */
const TABLE: Row[] = [
  {
    rule: 'title.duplicate',
    bad: [
      [title('取件提醒', ['取件提醒']), '/title', '取件提醒'],
      [title(' 取件 提醒', ['取件提醒']), '/title', '取件提醒']
    ],
    good: [title('取件提醒', ['取件通知', '退款通知']), title('取件提醒')]
  },
  {
    rule: 'title.too-similar',
    bad: [
      [title('取件提醒', ['退款通知', '取件通知']), '/title', '取件通知'],
      [title('订单付款成功通知', ['订单支付成功通知']), '/title', '订单支付成功通知'],
      [title('您的预约成功提醒', ['预订成功通知']), '/title', '预订成功通知'],
      [title('发货订单通知', ['订单发货提醒']), '/title', '订单发货提醒']
    ],
    good: [
      title('付款成功通知', ['付款失败通知']),
      title('订单发货提醒', ['订单收货提醒']),
      title('取件提醒', ['取件提醒'])
    ]
  },
  {
    rule: 'title.ending',
    bad: [
      [title('订单发货'), '/title', '发货'],
      [title('提醒您取件'), '/title', '取件'],
      [title('发货通知书'), '/title', '知书']
    ],
    good: [title('取件提醒'), title('退款成功通知 ')]
  },
  {
    rule: 'title.symbols',
    bad: [
      [title('【订单】发货提醒'), '/title', '【】'],
      [title('取件提醒🎉通知'), '/title', '🎉'],
      [title('发货★提醒'), '/title', '★'],
      [title('发货-取件提醒'), '/title', '-']
    ],
    good: [title('VIP订单2号发货提醒')]
  },
  {
    rule: 'title.personal',
    bad: [
      [title('亲爱的小主取件提醒'), '/title', '亲爱的'],
      [title('本店取件提醒'), '/title', '本店'],
      [title('嗨取件通知'), '/title', '嗨']
    ],
    good: [title('亲子课程开始提醒'), title('门店取件提醒')]
  },
  {
    rule: 'title.no-scene',
    bad: [
      [title('通知'), '/title', '通知'],
      [title('服务提醒'), '/title', '服务提醒'],
      [title('系统消息通知'), '/title', '系统消息通知'],
      [title('业务进度更新通知'), '/title', '业务进度更新通知'],
      [title('   '), '/title', ' ']
    ],
    good: [title('维修进度通知'), title('审核结果通知'), title('排队状态提醒')]
  },
  {
    rule: 'title.marketing',
    bad: [
      [title('限时优惠通知'), '/title', '优惠'],
      [title('购物返利到账通知'), '/title', '返利'],
      [title('新品上架提醒'), '/title', '新品'],
      [title('优惠券到期提醒'), '/title', '优惠券'],
      [title('代金券领取通知'), '/title', '代金券'],
      [title('红包到账提醒'), '/title', '红包'],
      [title('会员卡升级通知'), '/title', '会员卡'],
      [title('积分变动提醒'), '/title', '积分'],
      [title('活动开始提醒'), '/title', '活动'],
      [title('红 包到账提醒'), '/title', '红包']
    ],
    good: [title('退款到账通知'), title('购买成功通知'), title('停车缴费提醒')]
  },
  {
    rule: 'title.too-long',
    bad: [[title(`${'订'.repeat(19)}通知`), '/title', '知']],
    good: [title(`${'订'.repeat(18)}通知`)]
  },
  {
    rule: 'keyword.count',
    bad: [
      [keywords(), '/keywords', '0'],
      [keywords(...[...'甲乙丙丁戊己庚辛壬癸子'].map((sign) => `${sign}方姓名`)), '/keywords', '11']
    ],
    good: [keywords('订单编号'), keywords(...[...'甲乙丙丁戊己庚辛壬癸'].map((sign) => `${sign}方姓名`))]
  },
  {
    rule: 'keyword.duplicate',
    bad: [
      [keywords('订单编号', '订单编号'), '/keywords/1/name', '订单编号'],
      [keywords('订单编号', '商品名称', ' 订单 编号'), '/keywords/2/name', '订单 编号']
    ],
    good: [keywords('订单编号', '快递单号')]
  },
  {
    rule: 'keyword.too-similar',
    bad: [
      [keywords('订单编号', '订单号'), '/keywords/1/name', '订单号'],
      [keywords('付款时间', '商品名称', '支付日期'), '/keywords/2/name', '支付日期'],
      [keywords('手机号', '联系电话'), '/keywords/1/name', '联系电话']
    ],
    good: [keywords('发货时间', '收货时间'), keywords('订单编号', '快递单号'), keywords('订单编号', '订单编号')]
  },
  {
    rule: 'keyword.symbols',
    bad: [
      [keyword('订单编号★'), '/keywords/0/name', '★'],
      [keyword('付款金额(元)', '39'), '/keywords/0/name', '()']
    ],
    good: [keyword('订单编号'), keyword('SKU编号2')]
  },
  {
    rule: 'keyword.personal',
    bad: [[keyword('小主姓名', '李小云'), '/keywords/0/name', '小主']],
    good: [keyword('用户姓名', '李小云')]
  },
  {
    rule: 'keyword.example-missing',
    bad: [
      [keyword('订单编号', ''), '/keywords/0/example', '订单编号'],
      [keyword('订单编号', '  '), '/keywords/0/example', '订单编号']
    ],
    good: [keyword('订单编号', 'A1'), keyword('订单编号', null)]
  },
  {
    rule: 'keyword.example-mismatch',
    bad: [
      [keyword('发货时间', '飞雁速运'), '/keywords/0/example', '飞雁速运'],
      [keyword('付款金额', '很多'), '/keywords/0/example', '很多'],
      [keyword('联系电话', '李小云'), '/keywords/0/example', '李小云'],
      [keyword('订单编号', '晨读'), '/keywords/0/example', '晨读'],
      [keyword('就诊人数', '若干'), '/keywords/0/example', '若干'],
      [keyword('联系邮箱', 'example.com'), '/keywords/0/example', 'example.com'],
      [keyword('预约人', '13800138000'), '/keywords/0/example', '13800138000'],
      [keyword('取货地点', '2019-06-08'), '/keywords/0/example', '2019-06-08'],
      [keyword('商品名称', '2019年6月8日'), '/keywords/0/example', '2019年6月8日'],
      [keyword('退款原因', '退款原因'), '/keywords/0/example', '退款原因']
    ],
    good: [
      keyword('发货时间', '工作日 9:00'),
      keyword('发货时间', '明天下午'),
      keyword('付款金额', '￥39.80元'),
      keyword('付款金额', '三十元'),
      keyword('联系电话', '0571-81230000'),
      keyword('订单编号', 'D2019'),
      keyword('就诊人数', '三人'),
      keyword('联系邮箱', 'a@example.com'),
      keyword('预约人', '李小云'),
      keyword('取货地点', 'TIT造舰厂'),
      keyword('商品名称', '3号洗发水'),
      keyword('退款原因', '拍错规格'),
      keyword('发货时间', null)
    ]
  },
  {
    rule: 'keyword.too-broad',
    bad: [
      [keyword('内容'), '/keywords/0/name', '内容'],
      [keyword('详细 信息'), '/keywords/0/name', '详细信息']
    ],
    good: [keyword('投诉内容'), keyword('订单信息')]
  },
  {
    rule: 'keyword.loose',
    bad: [[keyword('时间', '9:00'), '/keywords/0/name', '时间']],
    good: [keyword('发货时间', '9:00')]
  },
  {
    rule: 'keyword.marketing',
    bad: [[keyword('优惠券名称', '满百减十'), '/keywords/0/name', '优惠券']],
    good: [keyword('活动名称', '周末读书会'), keyword('会员姓名', '李小云')]
  },
  {
    rule: 'content.marketing',
    bad: [
      [content('店庆促销，全场五折起'), '/content/thing1', '促销'],
      [content('{{ user.name }}的红包到了'), '/content/thing1', '红包']
    ],
    good: [content('周末读书会活动'), content('会员李小云'), content('')]
  },
  {
    rule: 'content.lure',
    bad: [
      [content('分享到群即可'), '/content/thing1', '分享到群'],
      [content('点击 领取礼物'), '/content/thing1', '点击领取']
    ],
    good: [content('请到柜台领取')]
  }
]

const found = (rule: string, input: LintInput) => lintTemplate(input).filter((problem) => problem.rule === rule)

t.same(
  TABLE.map((row) => row.rule),
  LINT_RULES.map((rule) => rule.id),
  'every rule is in the table'
)

for (const { rule, bad, good } of TABLE) {
  t.test(rule, async (t) => {
    for (const [input, pointer, part] of bad) {
      const [first] = found(rule, input)
      t.same([first?.pointer, first?.part], [pointer, part], `finds ${part} in ${input.title}`)
    }
    for (const input of good) t.same(found(rule, input), [], `lets ${input.title} ${JSON.stringify(input.keywords)} be`)
  })
}

t.test('a proper template has nothing against it', async (t) => t.same(lintTemplate(GOOD), []))

t.test('speaks both languages, and leaves no blank unfilled', async (t) => {
  for (const { rule, bad } of TABLE) {
    const [zh, en] = [lintTemplate(bad[0]![0], 'zh'), lintTemplate(bad[0]![0], 'en')]
    const [chinese, english] = [zh, en].map((list) => list.find((problem) => problem.rule === rule)!.message)
    t.match(chinese, /[\u4e00-\u9fff]{4}/)
    t.match(english, /[a-z]{4}.* [a-z]/)
    t.not(chinese, english)
    t.notMatch(`${chinese}${english}`, /\{part\}|\{why\}/)
  }
  t.match(found('title.marketing', title('红包到账提醒'))[0], { message: /"红包" \(red packets\)/ })
})

t.test('a part that looks like a pattern is taken as it is', async (t) => {
  t.match(found('title.symbols', title('$&取件提醒'))[0], { part: '$&', message: 'a title has no symbols: $&' })
})

t.test('reports every finding, each where it is', async (t) => {
  const problems = lintTemplate({
    title: '【红包】优惠活动',
    keywords: [
      { name: '内容', example: '' },
      { name: '内容', example: '内容' }
    ]
  })
  t.same(
    problems.map(({ rule, pointer, part }) => `${rule} ${pointer} ${part}`),
    [
      'title.ending /title 活动',
      'title.symbols /title 【】',
      'title.marketing /title 优惠',
      'title.marketing /title 红包',
      'title.marketing /title 活动',
      'keyword.duplicate /keywords/1/name 内容',
      'keyword.example-missing /keywords/0/example 内容',
      'keyword.example-mismatch /keywords/1/example 内容',
      'keyword.too-broad /keywords/0/name 内容',
      'keyword.too-broad /keywords/1/name 内容'
    ]
  )
})

t.test('holds nothing against a whole library but what it says about promotions', async (t) => {
  const errors = [...LEGACY_LIBRARY, ...SUBSCRIBE_LIBRARY].flatMap((entry) =>
    lintTemplate(entry)
      .filter(({ severity }) => severity === 'error')
      .map(({ rule, part }) => `${entry.title} ${rule} ${part}`)
  )
  t.ok(errors.includes('活动报名成功通知 title.marketing 活动'))
  t.same(
    errors.filter((error) => !/ title\.marketing 活动$/.test(error)),
    []
  )
})

t.test('is done in a blink with the longest of inputs', async (t) => {
  const long = { name: '优惠'.repeat(50), example: '券'.repeat(500) }
  const input = {
    title: '红包'.repeat(100),
    keywords: Array.from({ length: 50 }, () => long),
    otherTitles: Array(1000).fill('取件提醒')
  }
  const started = process.cpuUsage()
  lintTemplate(input)
  const { user } = process.cpuUsage(started)
  t.ok(user < 1_000_000, `${user} µs of CPU`)
})
