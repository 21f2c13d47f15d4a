import t from 'tap'
import type { Account } from '../../../server/accounts/accounts.js'
import { createSandbox } from '../../../server/sandbox/sandbox.js'
import { createSenders } from '../../../server/senders/senders.js'
import type { TokenCentre } from '../../../server/wechat/access-token.js'
import { createWechatClient } from '../../../server/wechat/client.js'
import { ERRCODES } from '../../../server/wechat/errcodes.js'
import { expectOk } from '../../../server/wechat/expect-ok.js'
import { fetchStableToken } from '../../../server/wechat/token-calls.js'
import { brokenInvariants, buildLedger, closeTestStore } from '../../support/ledger.js'
import { BRAND, SHOP } from '../../support/live-app.js'

t.setTimeout(180_000)
t.teardown(closeTestStore)

/** What paid for the message; `old payment`: live for more than 15 minutes; `follower`: needs no right. */
const SOURCES = ['form', 'payment', 'old payment', 'grant', 'longTermGrant', 'follower', 'follow', 'menu'] as const
type Source = (typeof SOURCES)[number]
/** Those that are asked about again after an answer was lost; payments and grants are not (docs/ledger.md M4c). */
const DOUBTED: readonly Source[] = ['form', 'follower', 'follow', 'menu']
const SERVICE: readonly Source[] = ['follower', 'follow', 'menu']
const PAYMENTS: readonly Source[] = ['payment', 'old payment']
const GRANTS: readonly Source[] = ['grant', 'longTermGrant']

/** One of each interface: what shuts an interface does not ask what paid. */
const CARRIERS: readonly Source[] = ['form', 'grant', 'follow']

/** Two nobody has described. */
const UNHEARD = [31337, 9999999]
/** About the account or the interface, by the facts: it stays shut until an operator looks. */
const SHUT = new Set([
  20005, 40125, 40164, 40243, 41002, 41004, 42002, 42007, 43003, 43104, 45029, 45035, 45103, 45109, 46101, 48001, 50001,
  50004, 50007, 61003, 61004, 61005, 61006, 61007, 61011, 61016, 61017, 61023, 61024, 61028, 89501, 89503, 89506, 89507,
  200011
])
/** WeChat punishes the account on the interface that was called. */
const PENALTIES = new Set([45102, 48004])
const AGAIN = new Set([-1, 43108, 45011])
const TOKEN = new Set([40001, 40014, 42001])
/** The person is out of reach of this service account. */
const OUT_OF_REACH = new Set([43004, 43101, 48002, 50005])
/** The account may not use this source for now. */
const PUNISHED: Record<number, Source[]> = { 41032: ['form'], 41034: ['form'], 41035: ['payment', 'old payment'] }

type Settled = { message: string; right: string; account: string }

/**
 * Table D of docs/ledger.md, read by a person and written down again: what an answer leaves behind. Rights are told as
 * `left/held/spent` or by why they are dead; `none` where a follower needs no right.
 */
function expected(code: number, source: Source, doubt: boolean): Settled {
  const service = SERVICE.includes(source)
  const unlimited = source === 'menu' || source === 'longTermGrant'
  const right = (told: string) => (source === 'follower' ? 'none' : unlimited && /^\d/.test(told) ? 'live' : told)
  const uses = PAYMENTS.includes(source) ? 3 : 1
  const free = right(`${uses}/0/0`)
  const held = right(`${uses - 1}/1/0`)
  const spent = right(`${uses - 1}/0/1`)
  const dead = right(`dead ${code}`)
  const fell = { message: `skipped noCredential ${code}`, right: dead, account: '' }
  /** Nobody knows whether it arrived: the right stays with the message, or is burned, and no other is taken. */
  const unknown = { message: `unknown errcode ${code} ${code}`, right: held, account: '' }

  if (TOKEN.has(code)) return { message: 'accepted answer, 2 attempts', right: spent, account: '' }
  if (AGAIN.has(code)) return { message: `${doubt ? 'sending' : 'held'} ${code}`, right: held, account: '' }
  if (code === 43117) return doubt ? unknown : { message: 'held 43117', right: held, account: '' }
  if (code === 40013)
    return { ...(doubt ? unknown : { message: 'failed 40013', right: free }), account: 'alert errcode 40013' }
  if (code === 45009) {
    if (doubt) return { message: 'sending 45009', right: held, account: 'until the reset' }
    return { message: 'planned for quota 45009', right: free, account: 'until the reset' }
  }
  if (source === 'form' && code === 41029) {
    if (doubt) return { message: 'accepted inferred', right: spent, account: '' }
    return { ...fell, account: 'shared, alert formIds spent elsewhere' }
  }
  if (source === 'form' && (code === 41028 || code === 41031))
    return doubt ? { ...unknown, right: 'dead burned' } : fell
  if (source === 'payment' && code === 41028)
    return { message: 'planned for credential 41028', right: '3/0/0', account: '' }
  if (PAYMENTS.includes(source) && [41028, 41029, 41031].includes(code)) return fell
  if (GRANTS.includes(source) && code === 43101) return fell
  if (service && OUT_OF_REACH.has(code)) {
    if (doubt) return { ...unknown, account: 'unreachable' }
    return { message: `failed ${code}`, right: free, account: 'unreachable' }
  }
  if (service && code === 40241) {
    if (doubt) return { message: 'accepted inferred', right: spent, account: '' }
    return { message: 'failed 40241', right: free, account: '' }
  }
  if (PUNISHED[code] !== undefined) {
    const off = `punished ${PUNISHED[code].includes('form') ? 'form' : 'payment'}, alert source punished`
    if (doubt) return { ...unknown, account: off }
    // The right is given back and waits with the message for the penalty's end. Another source has nothing to do with it.
    if (PUNISHED[code].includes(source)) return { message: `planned for penalty ${code}`, right: free, account: off }
    return { message: `failed ${code}`, right: free, account: off }
  }
  if (UNHEARD.includes(code)) return { ...unknown, account: `alert unknown errcode ${code}` }
  const called = service ? 'service' : GRANTS.includes(source) ? 'subscribe' : 'legacy'
  const account = PENALTIES.has(code)
    ? `punished ${called}, alert errcode ${code}`
    : SHUT.has(code)
      ? `shut, alert errcode ${code}`
      : ''
  if (doubt) return { ...unknown, account }
  return { message: `failed ${code}`, right: free, account }
}

t.test('what every answer leaves of the message, its right and the account', { timeout: 180_000 }, async (t) => {
  const ledger = await buildLedger(t, {
    grantType: async (_account, templateId) => (templateId === 'L' ? 'longTerm' : 'once')
  })
  const { clock, db } = ledger
  const sandbox = await createSandbox({ latency: { minMs: 0, maxMs: 0 }, seed: 3, now: () => clock.now().getTime() })
  const client = createWechatClient()
  t.teardown(async () => {
    await client.close()
    await sandbox.close()
  })
  const tokenOf = async (app: typeof SHOP, kind: Account['kind']) => {
    const target = { accountId: kind, appId: app.appId, kind, apiBase: sandbox.url, tokenApi: 'stable' as const }
    return expectOk(await fetchStableToken(client, target, app.secret)).access_token
  }
  const shop = await tokenOf(SHOP, 'miniprogram')
  const brand = await tokenOf(BRAND, 'service')
  const senders = createSenders({ client, tokens: null as unknown as TokenCentre })
  // The real sender; only where it posts to, and as whom, is the test's.
  const rooms = ledger.rooms({
    send: (account, input) =>
      senders.send({ ...account, apiBase: sandbox.url }, input, input.channel === 'service' ? brand : shop)
  })

  type Cell = { code: number; source: Source; doubt: boolean; account: Account; recipientId: string; messageId: string }
  const cells: Cell[] = []
  const codes = [...ERRCODES.map((row) => row.code).filter((code) => code !== 0), ...UNHEARD]

  /** Hands in what pays for these messages of one account. */
  async function rights(account: Account, mine: Cell[]): Promise<void> {
    const caughtAt = clock.now()
    const items = mine.flatMap(({ source, recipientId, messageId: id }): object[] => {
      const item = { id, recipientId, caughtAt }
      if (source === 'form') return [{ ...item, source, value: `form-${id}` }]
      if (PAYMENTS.includes(source)) return [{ ...item, source: 'payment', value: `wxpay${id}`, result: 'ok' }]
      if (!GRANTS.includes(source)) return []
      return [{ ...item, source: 'grant', result: 'accept', templateId: source === 'grant' ? 'G' : 'L' }]
    })
    if (items.length > 0) await rooms.credentials.keep(account, items as never)
    for (const { source, recipientId, messageId: key } of mine) {
      if (source !== 'follow' && source !== 'menu') continue
      await rooms.credentials.mint(account, { recipientId, source, at: caughtAt, key })
    }
  }

  /** Answers that leave something on the account get one of their own; the others share. */
  const alone = (code: number) =>
    SHUT.has(code) || PENALTIES.has(code) || code === 45009 || code === 41029 || PUNISHED[code] !== undefined
  const accounts = new Map<string, Promise<Account>>()
  function accountOf(code: number, source: Source, doubt: boolean): Promise<Account> {
    const service = SERVICE.includes(source)
    const whose = [doubt, service, source === 'follower', ...(alone(code) ? [code] : [])]
    if (alone(code) && !SHUT.has(code)) whose.push(source as never)
    const key = whose.join(' ')
    let account = accounts.get(key)
    if (account === undefined) {
      account = rooms.accounts.create({
        kind: service ? 'service' : 'miniprogram',
        appId: `wx${String(accounts.size).padStart(16, '0')}`,
        secret: 'secret-secret',
        name: key,
        mode: 'live',
        limits: { perSecond: 2000 },
        serviceWindow: { bulk: false, transactional: source !== 'follower' }
      })
      accounts.set(key, account)
    }
    return account
  }

  /** Each cell is one person with one right and one message, and a WeChat that has this answer ready for them. */
  async function make(sources: readonly Source[], doubt: boolean): Promise<void> {
    const wanted = codes.flatMap((code) =>
      sources
        .filter((source) => !(SHUT.has(code) || PENALTIES.has(code)) || CARRIERS.includes(source))
        .map((source) => ({ code, source }))
    )
    const fresh = await Promise.all(
      wanted.map(async ({ code, source }, i) => {
        const [account, at] = [await accountOf(code, source, doubt), cells.length + i]
        const openId = `o${at}`
        if (doubt) sandbox.controls.addRule({ openid: openId, times: 1, action: { reset: 'before' } })
        const answer = { openid: openId, action: { errcode: code } }
        if (TOKEN.has(code)) {
          sandbox.controls.addRule({ ...answer, times: 1 })
          sandbox.controls.addRule({ openid: openId, action: { errcode: 0 } })
        } else sandbox.controls.addRule(answer)
        const recipientId = rooms.people.recipientId(account.id, openId)
        return { code, source, doubt, account, openId, recipientId, messageId: `m${at}` }
      })
    )
    cells.push(...fresh)
    for (const account of new Set(fresh.map((each) => each.account))) {
      const mine = fresh.filter((each) => each.account === account)
      const met = mine.map(({ openId }) => ({ openId }))
      await rooms.people.recipients(account.id, met, account.kind === 'service' ? { followingAt: clock.now() } : {})
      await rights(account, mine)
    }
  }

  const plan = (list: Cell[]) =>
    rooms.messages.plan(
      list.map(({ account, source, recipientId, messageId }) => {
        const channel = SERVICE.includes(source) ? 'service' : GRANTS.includes(source) ? 'subscribe' : 'legacy'
        const templateId = source === 'longTermGrant' ? 'L' : 'G'
        const whom = { id: recipientId, personId: `p${recipientId}` }
        return { ...ledger.input(whom, { accountId: account.id, channel, templateId }), id: messageId }
      })
    )

  async function settle(list: Cell[]): Promise<void> {
    const ids = [...new Set(list.map(({ account }) => account.id))]
    for (let at = 0; at < ids.length; at += 30) {
      let left = ids.slice(at, at + 30)
      while (left.length > 0) {
        const moved = await Promise.all(
          left.map(async (id) => (await rooms.messages.pumps.drain(id)) + (await rooms.messages.follower.drain(id)))
        )
        left = left.filter((_, i) => moved[i]! > 0)
      }
    }
  }

  const inDoubt = new Set<string>()

  /** What is stored of each cell, as words. */
  async function look(list: Cell[]): Promise<Settled[]> {
    const by = async (rows: Promise<any[]>, key: string) => new Map((await rows).map((row) => [row[key], row]))
    const messages = await by(rooms.messages.rows.find({}).toArray(), '_id')
    const credentials = await by(rooms.credentials.rows.find({}).toArray(), 'recipientId')
    const budgets = await by(db.collection('budgets').find({}).toArray(), '_id')
    const alerts = await db.collection('alerts').find({}).toArray()
    const people = await rooms.people.byIds(list.map(({ recipientId }) => recipientId))
    const owners = new Map<string, Account>()
    for (const { id } of await Promise.all(accounts.values())) owners.set(id, await rooms.accounts.get(id))

    return list.map(({ account: { id }, recipientId, messageId, code }) => {
      const row = messages.get(messageId)
      const credential = credentials.get(recipientId)
      const owner = owners.get(id)!
      const word = row.state === 'accepted' ? row.by : row.state === 'planned' ? `for ${row.waitingFor}` : row.reason
      const message = [row.state, word, row.code].filter((each) => each !== null && each !== undefined).join(' ')
      const attempts = row.attempt - (inDoubt.has(messageId) ? 1 : 0)
      const reach = people.get(recipientId)?.reach
      const mine = alerts.filter(({ accountId }) => accountId === id).map(({ subject }) => subject as string)
      return {
        message: TOKEN.has(code) ? `${message}, ${attempts} attempts` : message,
        right:
          credential === undefined
            ? 'none'
            : credential.state !== 'live'
              ? `${credential.state} ${credential.why}`
              : credential.unlimited
                ? 'live'
                : `${credential.sendsLeft}/${credential.held}/${credential.spent}`,
        account: [
          ...(owner.blocked[row.channel as 'legacy'] === undefined ? [] : ['shut']),
          ...(budgets.get(`${id}:${row.channel}`)?.blockedUntil == null ? [] : ['until the reset']),
          ...(owner.exclusive ? [] : ['shared']),
          ...(owner.punished === null ? [] : [`punished ${owner.punished.api}`]),
          ...(reach === 'ok' || reach === undefined ? [] : ['unreachable']),
          ...mine.filter((name) => alone(code) || name.endsWith(` ${code}`)).map((name) => `alert ${name}`)
        ].join(', ')
      }
    })
  }

  // Payments count from when they became live, so those that are to be old are made first.
  await make(['old payment'], false)
  clock.advance(16 * 60_000)
  await make(
    SOURCES.filter((source) => source !== 'old payment'),
    false
  )
  await make(DOUBTED, true)
  clock.advance(11_000)
  await plan(cells)
  await settle(cells)

  const doubted = cells.filter((each) => each.doubt)
  const lost = await rooms.messages.rows.countDocuments({ state: 'sending', 'hold.doubt': true })
  t.equal(lost, doubted.length, 'every lost answer left doubt')
  for (const { messageId } of doubted) inDoubt.add(messageId)
  const settled = new Map<Cell, Settled>()
  const note = async (list: Cell[]) => (await look(list)).forEach((told, i) => settled.set(list[i]!, told))
  await note(cells.filter((each) => !each.doubt))
  clock.advance(20_000)
  await settle(doubted)
  await note(doubted)

  let agreed = 0
  for (const [{ code, source, doubt }, got] of settled) {
    const want = expected(code, source, doubt)
    if (JSON.stringify(got) === JSON.stringify(want)) agreed += 1
    else t.same(got, want, `${code} to ${source}${doubt ? ', in doubt' : ''}`)
  }
  t.equal(agreed, cells.length, `${codes.length} codes`)
  t.same(await brokenInvariants({ ...ledger, ...rooms }), [])
  for (const shared of await Promise.all(accounts.values())) {
    if (!/^\w+ \w+ \w+$/.test(shared.name)) continue
    t.same((await rooms.accounts.get(shared.id)).blocked, {}, 'one message of many shuts nothing')
  }
  t.comment(`${cells.length} cells of ${codes.length} codes × ${SOURCES.length} sources, ${doubted.length} in doubt`)
})

t.test('a message about a payment WeChat may not know of yet waits for it, and goes when it may', async (t) => {
  const ledger = await buildLedger(t)
  const ann = await ledger.recipient('ann')
  await ledger.credentials.keep(ledger.account, [
    { id: 'i', recipientId: ann.id, source: 'payment', value: 'wxpay1', result: 'ok', caughtAt: ledger.clock.now() }
  ])
  const paidAt = ledger.clock.now().getTime()
  const id = await ledger.plan(ann)
  const hasty = await ledger.plan(ann, { notAfter: new Date(paidAt + 5_000) })
  await ledger.settle()
  t.match(await ledger.row(id), {
    state: 'planned',
    waitingFor: 'credential',
    due: new Date(paidAt + 10_000).toISOString()
  })
  t.match(await ledger.row(hasty), { state: 'skipped', reason: 'noCredential' }, 'it would come too late')
  ledger.clock.advance(10_000)
  await ledger.settle()
  t.match(await ledger.row(id), { state: 'accepted' })
  t.same(await brokenInvariants(ledger), [])
})
