import * as Shape from '../control-shapes.js'
import type { Phone } from './phone.js'

/** The calls of the control API that make a browser a phone. */
export function phoneRoutes(phone: Omit<Phone, 'clearPhone'>) {
  return [
    {
      method: 'GET' as const,
      path: '/sandbox/phone',
      summary: "One person's phone: who they are, their apps, what may be asked for",
      query: Shape.PhoneQuery,
      run: phone.phone
    },
    {
      method: 'GET' as const,
      path: '/sandbox/phone/notices',
      summary: 'What the person behind an openid received from all apps, as a phone shows it',
      query: Shape.NoticesQuery,
      run: phone.notices
    },
    {
      method: 'POST' as const,
      path: '/sandbox/phone/request',
      summary: 'wx.request: calls a server on the list of request domains',
      body: Shape.PhoneRequestInput,
      run: phone.request
    },
    {
      method: 'POST' as const,
      path: '/sandbox/phone/checkout',
      summary: "A shop's own backend: places an order, answers what wx.requestPayment takes",
      query: Shape.CheckoutQuery,
      body: Shape.CheckoutBody,
      run: phone.checkout
    },
    {
      method: 'GET' as const,
      path: '/sandbox/orders',
      summary: 'One order, with what the payment sheet shows',
      query: Shape.OrderQuery,
      run: phone.orderOf
    },
    {
      method: 'GET' as const,
      path: '/sandbox/request-domains',
      summary: 'Servers that phones may call',
      run: () => phone.requestDomains()
    },
    {
      method: 'POST' as const,
      path: '/sandbox/request-domains',
      summary: 'Replace the list of servers that phones may call; only scheme, host and port count',
      body: Shape.RequestDomainsInput,
      run: ({ domains }: { domains: string[] }) => phone.requestDomains(domains)
    }
  ]
}
