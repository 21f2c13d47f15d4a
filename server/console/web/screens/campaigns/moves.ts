import { useRouter } from 'vue-router'
import { campaignsApi, type Campaign, type Verb } from '../../api/campaigns.js'
import { newKey } from '../../api/key.js'
import { useDeed } from '../../api/pages.js'
import { ask } from '../../parts/ask.js'
import { say } from '../../parts/toasts.js'
import { campaignWords } from './words.js'

/** What list and page both do with a campaign; each asks first, then calls `after`. */
export function useMoves(after: () => Promise<unknown>) {
  const router = useRouter()
  const t = campaignWords
  const { busy, refused, run } = useDeed(async (campaign: Campaign, verb: Verb | 'remove' | 'duplicate') => {
    const { id, name } = campaign
    if (verb === 'duplicate') {
      const copy = await campaignsApi.duplicate(id, newKey())
      say(t.value.duplicated(copy.name))
      return router.push(`/campaigns/${copy.id}/edit`)
    }
    const text = {
      pause: t.value.pauseText,
      resume: t.value.resumeText,
      cancel: t.value.cancelText,
      remove: t.value.removeText
    }[verb](name)
    const grave = verb === 'cancel' || verb === 'remove'
    if (!(await ask({ title: t.value[verb], text, go: t.value[verb], grave }))) return
    if (verb === 'remove') {
      await campaignsApi.remove(id)
      return after()
    }
    await campaignsApi.move(id, verb)
    say({ pause: t.value.paused, resume: t.value.resumed, cancel: t.value.cancelled }[verb](name))
    return after()
  })
  return { busy, refused, run }
}
