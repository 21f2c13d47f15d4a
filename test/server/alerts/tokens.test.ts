import t from 'tap'
import { targetOf } from '../../../server/accounts/target.js'
import { buildTestApp } from '../../support/build-app.js'
import { SHOP } from '../../support/live-app.js'

t.test('that WeChat refuses the tokens of an account is told, and the operator’s cure begins at once', async (t) => {
  const { app, rooms, account, db, login, clock } = await buildTestApp(t, { wechat: 'sandbox' })
  const { id } = await account({ ...SHOP, tokenApi: 'stable' })
  const owner = await login()
  const target = targetOf(await rooms.accounts.get(id))
  const { gen } = await rooms.tokenCentre.current(target)
  const day = Math.floor((clock.now().getTime() + 8 * 3_600_000) / 86_400_000)
  await db.collection('tokens').updateOne({ _id: id as never }, { $set: { forced: { day, n: 19, at: null } } })
  await t.rejects(rooms.tokenCentre.refused(target, gen), { code: 'wechat.token-storm', facts: { forcesSpent: true } })

  const open = async () => (await app.inject({ url: '/v1/alerts?state=open', headers: owner })).json().data
  while ((await open()).length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.match(await open(), [
    { kind: 'account', subject: 'tokens refused', accountId: id, title: /no more today/, facts: { forcesSpent: true } }
  ])
  await t.rejects(rooms.tokenCentre.current(target))
  const patched = await app.inject({
    method: 'PATCH',
    url: `/v1/accounts/${id}`,
    headers: owner,
    payload: { tokenApi: 'classic' }
  })
  t.equal(patched.statusCode, 200)
  t.match(await rooms.tokenCentre.current(targetOf(await rooms.accounts.get(id))), { gen: 1 })
})
