import { reply, OK, userOf, type Answer, type Call, type World } from './world.js'

const CHECKS_A_MINUTE = 4_000
const CONTENT_MAX = 2_500
const SCENES = new Set([1, 2, 3, 4])
const RISKY_LABEL = 21000
const CLEAN_LABEL = 100

/**
 * POST /wxa/msg_sec_check. The first version (no `version`) answers 87014 for risky text; the second always answers with a
 * verdict, about a person who used the mini-program lately (61010). Which words are risky is a setting.
 */
export function createContentCheck(world: World) {
  return function check({ app, body, path }: Call): Answer {
    // a stray token in the body is what WeChat itself answers 47001 to
    if ('access_token' in body) return world.fault(47001)
    const content: unknown = body.content
    if (typeof content !== 'string' || content === '' || [...content].length > CONTENT_MAX) return world.fault(47001)
    if (!world.spendMinute(app, path, CHECKS_A_MINUTE)) return world.fault(45011)
    const risky = world.settings.riskyWords.some((word) => content.includes(word))
    if (body.version === undefined) return risky ? world.fault(87014) : OK
    if (Number(body.version) !== 2) return world.fault(47001)
    const user = userOf(app, body.openid)
    if (user === undefined) return world.fault(isElsewhere(body.openid) ? 43104 : 40003)
    if (!SCENES.has(Number(body.scene))) return world.fault(40129)
    if (world.clock.now() - user.seenAt > world.settings.activeMs) return world.fault(61010)
    const suggest = risky ? 'risky' : 'pass'
    const label = risky ? RISKY_LABEL : CLEAN_LABEL
    return reply({
      errcode: 0,
      errmsg: 'ok',
      trace_id: world.rid(),
      result: { suggest, label },
      detail: [{ strategy: 'content_model', errcode: 0, suggest, label, prob: 90 }]
    })
  }

  function isElsewhere(openid: unknown): boolean {
    return typeof openid === 'string' && [...world.apps.values()].some((app) => app.users.has(openid))
  }
}
