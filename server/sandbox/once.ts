import type { Ledger } from './ledger.js'
import { isObject } from './values.js'
import { OK, userOf, type Answer, type Call, type World } from './world.js'

const TITLE_MAX = 15
const CONTENT_MAX = 200
const SCENE_MAX = 10_000

/** One-time subscriptions of a service account: one confirmation of a scene, one message, also to those who do not follow. */
export function createOnce(world: World, ledger: Ledger) {
  return {
    /** POST /cgi-bin/message/template/subscribe: no msgid in the answer, no event afterwards. */
    send({ app, body }: Call): Answer {
      const user = userOf(app, body.touser)
      if (user === undefined) return world.fault(40003)
      if (body.template_id !== app.onceTemplateId) return world.fault(40037)
      const scene = Number(body.scene)
      if (!Number.isInteger(scene) || scene < 0 || scene > SCENE_MAX || body.scene === '') return world.fault(40097)
      const { title, data } = body
      if (typeof title !== 'string' || title === '' || [...title].length > TITLE_MAX) return world.fault(40097)
      const content: unknown = isObject(data) && isObject(data.content) ? data.content.value : undefined
      if (typeof content !== 'string' || content === '')
        return world.fault(47003, 'argument invalid! data.content.value is empty')
      if ([...content].length > CONTENT_MAX) return world.fault(47003, 'argument invalid! data.content.value invalid')
      if (!user.scenes.has(scene) || user.block === 'refuse') return world.fault(43101)
      user.scenes.delete(scene)
      ledger.accept({
        appid: app.appid,
        channel: 'once',
        openid: user.openid,
        templateId: app.onceTemplateId,
        credential: `scene ${scene}`,
        data,
        ...(body.url ? { url: String(body.url) } : {}),
        ...(body.miniprogram === undefined ? {} : { miniprogram: body.miniprogram })
      })
      return OK
    }
  }
}
