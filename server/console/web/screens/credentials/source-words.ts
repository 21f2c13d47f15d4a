import { words } from '../../words/language.js'

/** Where rights to send come from. */
export const sourceWords = words({
  zh: {
    sources: {
      form: '表单提交',
      payment: '支付',
      grant: '一次性订阅',
      longTermGrant: '长期订阅',
      follow: '关注',
      scan: '扫码',
      menu: '点菜单',
      reply: '发消息',
      servicePayment: '服务号支付'
    }
  },
  en: {
    sources: {
      form: 'Form',
      payment: 'Payment',
      grant: 'One-time grant',
      longTermGrant: 'Long-term grant',
      follow: 'Follow',
      scan: 'Scan',
      menu: 'Menu tap',
      reply: 'Reply',
      servicePayment: 'Payment (service account)'
    }
  }
})

/** The name of a source; the word itself for one this console does not know. */
export const sourceNamed = (source: string): string =>
  (sourceWords.value.sources as Readonly<Record<string, string>>)[source] ?? source
