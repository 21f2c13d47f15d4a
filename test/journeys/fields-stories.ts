import { DAY_MS } from '../../shared/limits.js'
import { PICKUP, type Body, type Somebody, type World } from './fields-world.js'

/** What the stories of fields are made of: what messages say, campaigns that come and go, and looks at what came of it. */

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
/** What a message says of each template of the sandbox. */
export const SAYS = { thing1: '桂花糕', character_string2: '8-1', time3: '2030-03-04 16:40' }
export const BOOKED = { thing1: '复诊', time2: '2030-03-04 16:40', name3: '林医生' }
export const SHIPPED = { keyword1: 'D1', keyword2: '飞雁速运', keyword3: 'FY1', keyword4: '2030-03-04' }
export const BRANDED = { character_string1: 'D1', thing2: '晨读手账本', time3: '2030-03-04 16:40' }

/** A campaign that answers `event` to somebody of the shop with a grant; `more` is what a probe says besides. */
export const answering = (w: World, event: string, more: Body = {}): Body => ({
  name: '到货',
  accountId: w.accounts.shop,
  templateId: PICKUP,
  trigger: { kind: 'event', event },
  content: SAYS,
  ...more
})
/** A draft of this body, made as it is or changed into it. */
export async function created(w: World, body: Body): Promise<any> {
  if (w.ways.campaign === 'POST') return w.ask('POST', '/v1/campaigns', body)
  const trigger = { kind: 'once', at: w.instant(300 * DAY_MS) }
  const { id } = await w.ask('POST', '/v1/campaigns', { ...answering(w, ''), name: '草稿', trigger })
  return w.ask('PATCH', `/v1/campaigns/${id}`, body)
}

/** Runs `play` while a campaign of this body is online; it is over afterwards. */
export async function online<T>(w: World, body: Body, play: (id: string) => Promise<T>): Promise<T> {
  const { id } = await created(w, body)
  await w.ask('POST', `/v1/campaigns/${id}/activate`)
  await w.flush()
  const seen = await play(id)
  const { state } = await w.ask('GET', `/v1/campaigns/${id}`)
  if (state === 'online' || state === 'paused') await w.ask('POST', `/v1/campaigns/${id}/cancel`)
  return seen
}

/** What became of a person's messages, in words. */
export const fatesOf = async (w: World, who: Somebody): Promise<string[]> =>
  (await w.messages(who)).map(({ state, reason }) => (reason === null ? state : `${state} ${reason}`))

/** Who plays: their apps, their rights, what is known of them. */
export type Wish = Parameters<World['somebody']>[0]

/** A look at a person's first message, as REST tells it. */
export const first = (part: (message: any) => unknown) => async (w: World, who: Somebody) =>
  part((await w.messages(who))[0])
/** A look at the first call WeChat took for them. */
export const call = (part: (body: any) => unknown) => async (w: World, who: Somebody) => part((await w.taken(who))[0])
/** A look at what became of all their messages. */
export const fates = (w: World, who: Somebody) => fatesOf(w, who)
/** How long a message may be late, in minutes. */
export const patience = ({ dueAt, notAfter }: any) => (Date.parse(notAfter) - Date.parse(dueAt)) / MINUTE
