import type { CampaignCreate } from '../../../shared/campaign.js'
import { CONTENT, type openStore, type Rooms } from './rooms.js'

type Store = Awaited<ReturnType<typeof openStore>>

/** Rooms with an account, people of it named 0, 1, 2 …, an audience of them all, and a campaign due in an hour. */
export async function arranged(
  store: Store,
  t: Parameters<Store['rooms']>[0],
  people: number,
  more: Partial<CampaignCreate> = {}
) {
  const rooms = await store.rooms(t)
  const account = await rooms.account()
  const names = Array.from({ length: people }, (_, i) => ({ name: `人${i}` }))
  const crowd = people > 50 ? await bulk(rooms, account.id, people) : await rooms.crowd(account.id, names)
  const audience = await rooms.audiences.create({ name: '全部', rule: { all: [] } })
  const at = new Date(rooms.clock.now().getTime() + 3_600_000)
  const wanted: CampaignCreate = {
    name: '提醒',
    accountId: account.appId,
    audienceId: audience.id,
    templateId: 'T',
    lane: 'bulk',
    trigger: { kind: 'once', at, zone: 'Asia/Shanghai' },
    content: CONTENT,
    missingVariable: 'skip',
    waitForCredential: false,
    ...more
  }
  const campaign = await rooms.campaigns.create(wanted)
  return { ...rooms, accountId: account.id, crowd, audience, campaign, id: campaign._id, at, wanted }
}

/** Many people at once, all with a name. */
async function bulk({ people }: Rooms, accountId: string, count: number) {
  const met = await people.recipients(
    accountId,
    Array.from({ length: count }, (_, i) => `open-${i}`)
  )
  await people.models.people.updateMany({}, { $set: { 'attributes.name': '众人' } })
  return met
}

/** Runs every job that waits, as a worker would, until none is left. */
export async function work({ db, jobs }: Pick<Rooms, 'db' | 'jobs'>) {
  for (;;) {
    const job = await db.collection('agendaJobs').findOneAndDelete({ type: 'normal' })
    if (job === null) return
    await jobs.run(job.name, job.data)
  }
}
