import type { Events, EventRow } from '../events/events.js'
import type { Clock } from '../platform/clock.js'
import { NotAllowed } from '../platform/errors.js'
import type { Sealer } from '../platform/sealing.js'
import { answerEcho, openPush, type PushQuery } from '../wechat/callback.js'
import { NoPlatform } from './errors.js'
import type { Platforms } from './platforms.js'

/** What is kept of an authorisation event. */
type Told = { appId: string; sealedCode: string | null; sealed: string }

const NAMES = ['authorized', 'updateauthorized', 'unauthorized']

/** What WeChat pushes to the platform itself: its signature first, stored next, acknowledged then, and applied afterwards. */
export function createPlatformPushes({
  clock,
  sealer,
  platforms,
  events
}: {
  clock: Clock
  sealer: Sealer
  platforms: Pick<Platforms, 'keys' | 'keepTicket' | 'authorizations'>
  events: Pick<Events, 'intake' | 'consume'>
}) {
  for (const name of NAMES) {
    events.consume(`$platform:${name}`, async (rows) => {
      for (const row of rows) await apply(row)
    })
  }

  async function apply({ at, properties }: EventRow): Promise<void> {
    const { appId, sealedCode } = properties as Told
    if (appId === '') return // about nobody
    try {
      await platforms.authorizations.heard(appId, sealedCode === null ? null : sealer.open(sealedCode), at)
    } catch (error) {
      if (!(error instanceof NoPlatform)) throw error
    }
  }

  /** @throws NotAllowed where there is no platform: nothing can be signed for it */
  async function keysOf() {
    try {
      return await platforms.keys()
    } catch (error) {
      if (!(error instanceof NoPlatform)) throw error
      throw new NotAllowed('there is no platform here', { code: 'callback.bad-signature', cause: error })
    }
  }

  return {
    /** WeChat's check of the address: the text to answer. @throws NotAllowed */
    handshake: async (query: PushQuery): Promise<string> => answerEcho(await keysOf(), query),

    /**
     * One push. When this returns it is stored, and may be acknowledged; one that came before changes nothing.
     * @throws NotAllowed for a wrong signature and InvalidInput for what cannot be read: nothing is stored then
     */
    async receive(query: PushQuery, body: string, contentType: string): Promise<'stored' | 'duplicate'> {
      const keys = await keysOf()
      const { infoType = 'unknown', createTime, raw } = openPush(keys, query, body, contentType)
      const now = clock.now()
      // A clock of WeChat's that runs ahead must not shut out the tickets after this one.
      const at = createTime < now ? createTime : now
      const said = (name: string) => (typeof raw[name] === 'string' && raw[name] !== '' ? raw[name] : null)
      const ticket = said('ComponentVerifyTicket')
      if (infoType === 'component_verify_ticket' && ticket !== null) {
        await platforms.keepTicket(keys.appId, ticket, at)
        return 'stored'
      }
      const appId = said('AuthorizerAppid') ?? ''
      const code = said('AuthorizationCode')
      const told: Told = {
        appId,
        sealedCode: code === null ? null : sealer.seal(code),
        sealed: sealer.seal(JSON.stringify(raw))
      }
      const id = [infoType, appId, createTime.getTime() / 1_000, code === null ? '' : sealer.hash(code)].join(':')
      const name = `$platform:${infoType.toLowerCase()}`.slice(0, 100)
      const item = { id, name, at, properties: told, personId: null, recipientId: null }
      const [verdict] = await events.intake({ kind: 'wechat', id: keys.appId }, null, [item])
      return verdict!.verdict
    }
  }
}
export type PlatformPushes = ReturnType<typeof createPlatformPushes>
