import t from 'tap'
import { standingOf, type Authorizer } from '../../../server/accounts/permissions.js'

const authorizer: Authorizer = {
  serviceType: 2,
  verified: true,
  status: 1,
  authorizedAt: new Date('2026-03-01T00:00:00Z'),
  withdrawnAt: null
}
const off = { bulk: false, transactional: false }
const service = (sets: number[], more: Partial<Authorizer> = {}, windows = off) =>
  standingOf('service', sets, { ...authorizer, ...more }, windows)

t.test('what an account connected by QR may do', async (t) => {
  t.test('needs sets 2, 7 and 3, each of which is named when it is missing', async (t) => {
    t.match(service([2, 3, 7]), { halted: false, disabledReason: null, missing: [{ id: 1 }] })
    for (const [id, name] of [
      [2, 'followers'],
      [7, 'templates'],
      [3, 'account']
    ] as const) {
      const lacking = service([1, 2, 3, 7].filter((set) => set !== id))
      t.match(lacking, { halted: true, missing: [{ id, for: name }] })
      t.match(lacking.disabledReason, new RegExp(`^permission set not granted: ${id} .*update the authorisation`))
      t.equal(lacking.functions[name]!.ok, false)
      t.equal(Object.values(lacking.functions).filter(({ ok }) => !ok).length, 1, 'and only what needs it')
    }
    t.match(service([]).disabledReason, /^permission sets not granted: 2 .*, 7 .*, 3 /)
  })
  t.test('needs set 1 as well where a recent interaction is demanded, which else is only told', async (t) => {
    t.match(service([2, 3, 7], {}, { bulk: true, transactional: false }), {
      halted: true,
      disabledReason: /: 1 消息管理/
    })
    t.match(service([2, 3, 7], {}, { bulk: false, transactional: true }), { halted: true })
    t.match(service([2, 3, 7]), {
      halted: false,
      limitedReason: /1 消息管理 \(events\)/,
      functions: { events: { ok: false } }
    })
  })
  t.test('is nothing for what WeChat itself does not let send, whatever was ticked', async (t) => {
    const all = [1, 2, 3, 7]
    t.match(service(all, { serviceType: 0 }).disabledReason, /subscription account/)
    t.match(service(all, { serviceType: 1 }).disabledReason, /subscription account/)
    t.match(service(all, { verified: false }).disabledReason, /not verified/)
    for (const [status, word] of [
      [14, 'closed'],
      [16, 'banned'],
      [19, 'frozen']
    ] as const) {
      t.match(service(all, { status }).disabledReason, word)
    }
    t.equal(service(all, { status: 18 }).disabledReason, null, 'a warning is none')
    t.match(service(all, { withdrawnAt: new Date() }).disabledReason, /took the authorisation back/)
  })
  t.test(
    'is limited for a mini-program without login or templates, which its own backend may make up for',
    async (t) => {
      const mini = (sets: number[], more: Partial<Authorizer> = {}) =>
        standingOf('miniprogram', sets, { ...authorizer, serviceType: null, verified: false, ...more }, off)
      t.match(mini([17, 18, 20]), { halted: false, limitedReason: null, missing: [] })
      t.match(mini([18]), { halted: false, limitedReason: /20 登录 \(login\)/, functions: { login: { ok: false } } })
      t.match(mini([18, 20], { withdrawnAt: new Date() }), { halted: true })
    }
  )
})
