import t, { type Test } from 'tap'
import { changeOf } from '../../../server/templates/drift.js'
import { templateModels, type TemplateRow } from '../../../server/templates/model.js'
import type { ReadTemplate } from '../../../server/templates/read.js'
import { templateWarnings } from '../../../server/templates/warnings.js'
import { buildTestApp } from '../../support/build-app.js'
import { MINI } from './apps.js'

const PICKUP = 'SandboxSubscribePickup_'.padEnd(43, '0')

t.test('a change', async (t) => {
  const noon = new Date('2026-03-01T04:00:00Z')
  const read: ReadTemplate = {
    templateId: 'T',
    kind: 'subscribe',
    title: '取货提醒',
    fields: [],
    content: '取货码:{{thing1.DATA}}\n',
    example: '取货码:8\n',
    grantType: 'once',
    choices: { enum2: ['甲', '乙'], phrase1: ['丙'] }
  }
  const before = { ...read, syncedAt: noon }
  t.equal(changeOf(before, read, noon), null)
  t.equal(changeOf(before, { ...read, example: '取货码:9\n' }, noon), null, 'an example is no promise')
  t.equal(changeOf({ ...before, choices: { phrase1: ['丙'], enum2: ['甲', '乙'] } }, read, noon), null, 'order of keys')
  t.equal(changeOf({ ...before, content: '', title: '402' }, read, noon), null, 'one whose text was never read')
  const parts: [over: Partial<ReadTemplate>, part: string, was: string][] = [
    [{ title: '取件提醒' }, 'title', '取件提醒'],
    [{ content: '取件码:{{thing1.DATA}}\n' }, 'content', '取件码:{{thing1.DATA}}\n'],
    [{ grantType: 'longTerm' }, 'grantType', 'longTerm'],
    [{ choices: { enum2: ['甲'] } }, 'choices', 'enum2: 甲']
  ]
  for (const [over, part, was] of parts) {
    t.match(changeOf({ ...before, ...over }, read, noon), { kind: 'changed', changes: [{ part, before: was }] }, part)
  }
})

async function stage(t: Test) {
  const server = await buildTestApp(t, { wechat: 'sandbox' })
  const { rooms, sandbox, clock, db, app } = server
  const mini = await server.account(MINI)
  const headers = await server.key(['templates:read', 'templates:write'])
  const { rows } = templateModels(db)
  const call = async (method: 'GET' | 'POST' | 'DELETE', url: string, more: object = {}) =>
    app.inject({ method, url, headers: { ...headers, ...more } })
  return {
    ...server,
    sandbox: sandbox!,
    templates: rooms.templates,
    mini,
    rows,
    call,
    alarms: async () => (await call('GET', `/v1/templates?accountId=${mini.id}&drift=true`)).json(),
    one: async (id: string) => (await call('GET', `/v1/templates/${id}?accountId=${mini.id}`)).json(),
    /** As if WeChat had other words now: the mirror remembers something else. */
    async rememberOtherwise(templateId: string, over: Partial<TemplateRow>) {
      await rows.updateOne({ _id: `${mini.id}:${templateId}` }, { $set: over })
    },
    /** Somebody deletes it in WeChat's own console. */
    async deleteElsewhere(templateId: string) {
      const { token } = await rooms.tokenCentre.current({ ...MINI, accountId: mini.id } as never)
      await fetch(`${sandbox!.url}/cgi-bin/wxopen/template/del?access_token=${token}`, {
        method: 'POST',
        body: JSON.stringify({ template_id: templateId })
      })
      clock.advance(1)
    },
    add: (keywordIds = [1, 2]) =>
      rooms.templates.create({ accountId: mini.id, kind: 'legacy', titleId: 'AT0031', keywordIds })
  }
}

t.test('drift', async (t) => {
  const { templates, mini, clock, alarms, one, call, add, rememberOtherwise, deleteElsewhere, rows } = await stage(t)
  const { templateId } = await add()
  const log = `${mini.id}:${templateId}`

  t.test('is none when nothing happened, however often it is read', async (t) => {
    t.match(await templates.sync(mini.id), {
      added: Array,
      changed: { length: 0 },
      removed: { length: 0 },
      drifted: { length: 0 }
    })
    clock.advance(1)
    t.same((await templates.sync(mini.id)).drifted, [])
    t.match(await alarms(), { data: { length: 0 }, mirror: { drifts: 0 } })
    const { rev } = (await rows.findOne({ _id: log }))!
    clock.advance(1)
    await templates.sync(mini.id)
    t.equal((await rows.findOne({ _id: log }))!.rev, rev, 'reading is no change')
  })

  t.test('of a text is recorded once, shown in the list, and warned about', async (t) => {
    const since = clock.now()
    await rememberOtherwise(templateId, { content: '取件码{{keyword1.DATA}}\n' })
    clock.advance(5)
    t.match(await templates.sync(mini.id), { changed: [templateId], drifted: [templateId] })
    clock.advance(5)
    t.same((await templates.sync(mini.id)).drifted, [], 'said once')
    const drift = {
      kind: 'changed',
      lastSeenAt: since.toISOString(),
      changes: [
        {
          part: 'content',
          before: '取件码{{keyword1.DATA}}\n',
          after: '取件码{{keyword1.DATA}}\n地址{{keyword2.DATA}}\n'
        }
      ],
      readAt: null
    }
    t.match(await alarms(), { data: [{ templateId, state: 'live', drift }], mirror: { drifts: 1 } }, 'and stands')
    t.match(await one(templateId), { drift, drifts: [drift] })
    t.match(templateWarnings(await templates.get(mini.id, templateId)), [
      { pointer: '/templateId', code: 'templates.changed', message: /content: .* is now .*地址/ }
    ])
    const other = await call('GET', `/v1/templates?accountId=${mini.id}&drift=false`)
    t.notOk(other.json().data.some((each: any) => each.templateId === templateId))
  })

  t.test('is taken down by whoever knows, and stays in the history', async (t) => {
    const url = `/v1/templates/${templateId}/drift?accountId=${mini.id}`
    t.equal((await call('DELETE', url)).statusCode, 204)
    t.equal((await call('DELETE', url)).statusCode, 204, 'twice is once')
    t.match(await alarms(), { data: { length: 0 }, mirror: { drifts: 0 } })
    t.match(await one(templateId), { drift: null, drifts: [{ kind: 'changed', readAt: clock.now().toISOString() }] })
    t.same(templateWarnings(await templates.get(mini.id, templateId)), [])
    t.equal((await call('DELETE', `/v1/templates/nosuch/drift?accountId=${mini.id}`)).statusCode, 404)
  })

  t.test('of one that went stands though it is not in the list of the living', async (t) => {
    await deleteElsewhere(templateId)
    t.match(await templates.sync(mini.id), { removed: [templateId], drifted: [templateId] })
    clock.advance(1)
    t.same(await templates.sync(mini.id).then(({ removed, drifted }) => [removed, drifted]), [[], []])
    t.match(await alarms(), {
      data: [{ templateId, state: 'deleted', drift: { kind: 'gone', changes: { length: 0 } } }]
    })
    const live = await call('GET', `/v1/templates?accountId=${mini.id}`)
    t.match(live.json(), { mirror: { drifts: 1 } })
    t.notOk(live.json().data.some((each: any) => each.templateId === templateId))
    t.match(templateWarnings(await templates.get(mini.id, templateId)), [{ code: 'templates.gone' }])
  })

  t.test('is over when a template is back as it was', async (t) => {
    const before = await one(PICKUP)
    await rememberOtherwise(PICKUP, {
      state: 'deleted',
      deletedAt: clock.now(),
      drift: { kind: 'gone', at: clock.now(), lastSeenAt: clock.now(), changes: [], readAt: null }
    })
    clock.advance(1)
    t.match(await templates.sync(mini.id), { added: [PICKUP], drifted: { length: 0 } })
    t.match(await one(PICKUP), { state: 'live', drift: null, content: before.content })
  })

  t.test('is none for what is deleted here', async (t) => {
    const ours = await add()
    await templates.remove(mini.id, ours.templateId)
    clock.advance(1)
    t.same((await templates.sync(mini.id)).drifted, [])
    t.match(await one(ours.templateId), { state: 'deleted', drift: null })
  })
})

t.test('a deletion whose answer got lost is no drift', async (t) => {
  const { templates, mini, sandbox, clock, one, add } = await stage(t)
  const { templateId } = await add()
  clock.advance(1)
  sandbox.controls.addRule({ path: '/cgi-bin/wxopen/template/del', nth: 1, action: { reset: 'after' } })
  await t.rejects(templates.remove(mini.id, templateId), { code: 'wechat.no-answer' })
  t.match(await one(templateId), { state: 'live' })
  clock.advance(1)
  t.match(await templates.sync(mini.id), { removed: [templateId], drifted: { length: 0 } })
})

t.test('a deletion WeChat refused leaves the alarm armed', async (t) => {
  const { templates, mini, sandbox, add, deleteElsewhere } = await stage(t)
  const { templateId } = await add()
  sandbox.controls.addRule({ path: '/cgi-bin/wxopen/template/del', nth: 1, action: { errcode: 45009 } })
  await t.rejects(templates.remove(mini.id, templateId), { code: 'wechat.45009' })
  await deleteElsewhere(templateId)
  t.same((await templates.sync(mini.id)).drifted, [templateId])
})

t.test('two processes that read at once raise one alarm', async (t) => {
  const { templates, mini, rows, db, rooms, parts, clock, add, rememberOtherwise } = await stage(t)
  const { templateId } = await add()
  await rememberOtherwise(templateId, { title: '取件通知' })
  const { createTemplates } = await import('../../../server/templates/templates.js')
  const { accounts, wechat, jobs, operations } = rooms
  const other = createTemplates({ db, clock, log: parts.log, accounts, wechat, jobs, operations })
  const found = await Promise.all([templates.sync(mini.id), other.sync(mini.id)])
  t.same(
    found.flatMap((each) => each.drifted),
    [templateId]
  )
  t.equal((await rows.findOne({ _id: `${mini.id}:${templateId}` }))!.drifts!.length, 1)
})

t.test('one hidden by a deletion between two pages is not held for gone', async (t) => {
  const { templates, mini, sandbox, clock, add, rows } = await stage(t)
  sandbox.controls.setSettings({ templateLimit: 60 })
  for (let i = 0; i < 21; i++) await add([1, 2])
  clock.advance(1)
  // The first reading of page two finds nothing, as if the pages had moved under it.
  sandbox.controls.addRule({ path: '/cgi-bin/wxopen/template/list', nth: 2, action: { errcode: 0 } })
  t.match(await templates.sync(mini.id), { removed: { length: 0 }, drifted: { length: 0 } })
  t.equal(await rows.countDocuments({ kind: 'legacy', state: 'live' }), 22)
})

t.test('the oldest drifts make room for new ones', async (t) => {
  const { templates, mini, clock, rows, rememberOtherwise } = await stage(t)
  await templates.sync(mini.id)
  for (let i = 0; i < 22; i++) {
    clock.advance(1)
    await rememberOtherwise(PICKUP, { title: `第${i}版` })
    await templates.sync(mini.id)
  }
  const { drifts } = (await rows.findOne({ _id: `${mini.id}:${PICKUP}` }))!
  t.equal(drifts!.length, 20)
  t.match(drifts![0], { changes: [{ before: '第2版' }] })
})

t.test('rows of before there were drifts take part', async (t) => {
  const { templates, mini, clock, rows, alarms, rememberOtherwise } = await stage(t)
  await templates.sync(mini.id)
  await rows.updateMany({}, { $unset: { rev: 1, drift: 1, drifts: 1, removingSince: 1 } })
  t.match(await templates.get(mini.id, PICKUP), { drift: null, drifts: { length: 0 } })
  await rememberOtherwise(PICKUP, { title: '旧标题提醒' })
  clock.advance(6_000)
  t.same((await templates.sync(mini.id)).drifted, [PICKUP])
  t.match(await alarms(), { data: [{ templateId: PICKUP }] })
})
