import { byId, el } from './elements.mjs'

const TOAST_MS = 1500
let toasting = 0

/** A few words over everything, gone by themselves. */
export function toast(text: string, ms = TOAST_MS): void {
  const node = byId('toast')
  node.textContent = text
  node.hidden = false
  clearTimeout(toasting)
  toasting = setTimeout(() => (node.hidden = true), ms)
}
export const hideToast = (): void => void (byId('toast').hidden = true)

/**
 * A sheet over the phone until `answer` is called. A tap counts only when it began on the sheet: on touch screens the
 * tap that opened it would else reach the button that now lies under the finger.
 */
function ask<T>(
  kind: string,
  label: string,
  build: (answer: (value: T) => void) => (Node | string | null)[]
): Promise<T> {
  return new Promise((resolve) => {
    const before = document.activeElement
    const veil = el('div', `veil ${kind}`)
    let begun = false
    veil.addEventListener('pointerdown', () => (begun = true))
    veil.addEventListener(
      'click',
      (event) => {
        if (!begun && event.detail > 0) event.stopPropagation()
      },
      true
    )
    const answer = (value: T) => {
      veil.remove()
      if (before instanceof HTMLElement) before.focus({ preventScroll: true })
      resolve(value)
    }
    const sheet = el('div', 'sheet', build(answer))
    sheet.setAttribute('role', 'dialog')
    sheet.setAttribute('aria-modal', 'true')
    sheet.setAttribute('aria-label', label)
    sheet.tabIndex = -1
    veil.append(sheet)
    byId('phone').append(veil)
    sheet.focus()
  })
}

/** wx.showModal's box. */
export function askModal(options: {
  title?: string
  content?: string
  showCancel?: boolean
  confirmText?: string
  cancelText?: string
}): Promise<boolean> {
  const { title = '', content = '', showCancel = true, confirmText = '确定', cancelText = '取消' } = options
  return ask('middle', title || content, (answer) => [
    title ? el('h2', 'modal-title', title) : null,
    el('p', 'modal-text', content),
    el('div', 'modal-buttons', [
      showCancel ? el('button', 'modal-button', cancelText, () => answer(false)) : null,
      el('button', 'modal-button strong', confirmText, () => answer(true))
    ])
  ])
}

/** The payment sheet; true when the person pays. `amount` is in fen. */
export function askPayment(order: {
  to: string
  amount: number | null
  description: string | null
  orderId: string
}): Promise<boolean> {
  const amount = order.amount === null ? '金额未知' : `¥${(order.amount / 100).toFixed(2)}`
  const row = (label: string, value: string) =>
    el('div', 'pay-row', [el('span', 'pay-label', label), el('span', 'pay-value', value)])
  return ask('bottom', '支付', (answer) => {
    const close = el('button', 'sheet-close', '✕', () => answer(false))
    close.setAttribute('aria-label', '取消支付')
    return [
      el('header', 'sheet-head', [close, el('strong', '', '支付'), el('span', 'sheet-mark', '沙盒')]),
      el('p', 'pay-to', order.to),
      el('p', 'pay-amount', amount),
      order.description === null ? null : row('商品', order.description),
      row('订单', order.orderId),
      row('支付方式', '零钱（沙盒里的，不会真的扣款）'),
      el('button', 'sheet-button pay-confirm', '确认支付', () => answer(true))
    ]
  })
}

export interface Choice {
  /** Templates the person agreed to. */
  accepted: string[]
  /** Do not ask again. */
  always: boolean
}

/** The subscribe sheet: each template can be left out, and the choice kept. */
export function askSubscribe(
  app: string,
  templates: { templateId: string; title: string; type?: 2 | 3 }[]
): Promise<Choice> {
  return ask('bottom', '订阅消息', (answer) => {
    const wanted = new Map(templates.map(({ templateId }) => [templateId, true]))
    let always = false
    const tick = (className: string, text: string, on: boolean, change: (on: boolean) => void) => {
      const box = document.createElement('input')
      box.type = 'checkbox'
      box.checked = on
      box.addEventListener('change', () => change(box.checked))
      return el('label', className, [box, el('span', '', text)])
    }
    const often = templates.some(({ type }) => type === 3) ? '发送以下消息' : '发送一次以下消息'
    return [
      el('header', 'subscribe-head', [el('span', 'face small', app.slice(0, 1)), el('span', '', app)]),
      el('p', 'subscribe-ask', `申请${often}`),
      el(
        'div',
        'subscribe-list',
        templates.map(({ templateId, title }) =>
          tick('subscribe-item', title, true, (on) => void wanted.set(templateId, on))
        )
      ),
      tick('subscribe-always', '总是保持以上选择，不再询问', false, (on) => (always = on)),
      el('div', 'sheet-buttons', [
        el('button', 'sheet-button refuse', '拒绝', () => answer({ accepted: [], always })),
        el('button', 'sheet-button allow', '允许', () =>
          answer({ accepted: [...wanted].filter(([, on]) => on).map(([id]) => id), always })
        )
      ])
    ]
  })
}
