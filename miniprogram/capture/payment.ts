import { swallow } from '../transport.js'
import type { PaymentOptions, PhoneApi } from '../types.js'

/**
 * `wx.requestPayment`, with `paid` told of each success before the host is. The host sees what it would see without us:
 * its own callbacks, or a promise when it gave none.
 */
export function createPayments(parts: { api: () => PhoneApi; paid: (given: PaymentOptions, res: any) => void }) {
  const { api, paid } = parts
  let raw: ((options: any) => any) | null = null

  function pay(call: (options: any) => any, options: PaymentOptions): any {
    const host: PaymentOptions = options || {}
    const { success, fail, complete } = host
    const asked = Object.assign({}, host)
    delete asked.orderId
    delete asked.place
    const run = (onSuccess: any, onFail: any) => {
      let answered = false
      const told = (hear: any) => (res: any) => {
        answered = true
        if (hear) hear(res)
      }
      asked.success = told((res: any) => {
        paid(host, res)
        if (onSuccess) onSuccess(res)
      })
      asked.fail = told(onFail)
      asked.complete = told(complete)
      let answer: any
      try {
        answer = call(asked)
      } catch (error) {
        // a platform that answers at once passes on what the host's own callback throws: theirs, and no failed payment
        if (answered) throw error
        const res = { errMsg: `requestPayment:fail ${error}` }
        if (onFail) onFail(res)
        if (complete) complete(res)
      }
      swallow(answer)
      return answer
    }
    // As wx does it: a promise only when the host gave no callback; base libraries before 2.10.2 have none to give
    if (success || fail || complete) return run(success, fail)
    return new Promise((resolve, reject) => run(resolve, reject))
  }

  return {
    request: (given: PaymentOptions): any => pay((o) => (raw ? raw(o) : api().requestPayment!(o)), given),
    /** Puts the wrapper in the place of the platform's own function. Answers how to take it out again. */
    hook(): () => void {
      const target = api() as any
      const own = Object.getOwnPropertyDescriptor(target, 'requestPayment')
      const original = target.requestPayment
      if (typeof original !== 'function') return () => undefined
      const call = (o: any) => original.call(target, o)
      const value = (o: any) => pay(call, o)
      // wx's members may be getter-only, where plain assignment is ignored or throws
      Object.defineProperty(target, 'requestPayment', { value, writable: true, configurable: true, enumerable: true })
      raw = call
      return () => {
        // somebody hooked after us: taking ours out would take theirs out
        if (target.requestPayment !== value) return
        if (own) Object.defineProperty(target, 'requestPayment', own)
        else delete target.requestPayment
      }
    }
  }
}
