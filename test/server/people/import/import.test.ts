import t from 'tap'
import { Readable } from 'node:stream'
import { createImports } from '../../../../server/people/import/imports.js'
import { buildTestApp } from '../../../support/build-app.js'

t.test('people by the file', async (t) => {
  const { app, rooms, parts, db, key, login, account, clock } = await buildTestApp(t)
  const mini = await account()
  const other = await account()
  const machine = await key(['people:read', 'people:write', 'audiences:write', 'accounts:read'])
  const bound = await key(['people:read', 'people:write', 'accounts:read'], [other.id])
  const send = (
    payload: string | Buffer | Readable,
    { type = 'text/csv', query = '', headers = machine as object } = {}
  ) =>
    app.inject({
      method: 'POST',
      url: `/v1/people/import${query}`,
      headers: { ...headers, 'content-type': type },
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload
    })
  const work = (id: string) => rooms.jobs.run('people.import', { id })
  const watch = async (id: string) =>
    (await app.inject({ method: 'GET', url: `/v1/operations/${id}`, headers: machine })).json()
  /** Sends a file and has it worked through; the operation then. */
  async function bring(file: string | Buffer, options: Parameters<typeof send>[1] = {}) {
    const answer = await send(file, options)
    if (answer.statusCode !== 202) return answer.json()
    await work(answer.json().id)
    return watch(answer.json().id)
  }
  const count = (collection: string, filter = {}) => db.collection(collection).countDocuments(filter)
  const find = (externalId: string) => rooms.people.find({ externalId })

  const file = [
    '\ufeffexternalId,unionId,accountId,openId,attributes.city,attributes.age:number,tags',
    `m1,u1,${mini.appId},o1,上海,18,新客`,
    `m2,,,,"=cmd|'/C calc'!A0",x,`,
    `m3,u3,,,北京,,会员=金`,
    `,,${mini.id},o4,,4,`,
    `m5,,wx0000000000000000,o5,,,`,
    `,u6,,,,6,`
  ].join('\r\n')

  t.test('become people, and each row that cannot be used is told of', async (t) => {
    const answer = await send(file)
    t.equal(answer.statusCode, 202, answer.body)
    const { id } = answer.json()
    t.equal(answer.headers.location, `/v1/operations/${id}`)
    t.match(answer.json(), { kind: 'people.import', state: 'running' })
    t.equal(await count('people'), 0, 'nothing is known before the file is there whole')
    t.notMatch(
      JSON.stringify(await db.collection('importPieces').find().toArray()),
      /externalId|上海/,
      'the file is kept sealed'
    )
    await work(id)
    t.match(await watch(id), {
      state: 'done',
      done: 6,
      total: 6,
      result: {
        rows: 6,
        created: 4,
        changed: 0,
        unchanged: 0,
        failed: 2,
        joined: 0,
        faults: [
          { row: 3, field: 'attributes.age', rule: 'import.number' },
          { row: 6, field: 'accountId', rule: 'accounts.not-found' }
        ]
      }
    })
    t.match(await find('m1'), { attributes: { city: '上海', age: 18 }, tags: { 新客: true }, accountIds: [mini.id] })
    t.equal((await rooms.people.find({ openId: 'o1' }, mini.id))!.id, (await find('m1'))!.id)
    t.equal((await rooms.people.find({ unionId: 'u3' }))!.id, (await find('m3'))!.id)
    t.match(await find('m3'), { tags: { 会员: '金' } })
    t.match((await rooms.people.find({ openId: 'o4' }, mini.id))!.attributes, { age: 4 })
    t.match((await rooms.people.find({ unionId: 'u6' }))!.attributes, { age: 6 })
    t.equal(await find('m2'), null)
    t.equal(await count('importPieces'), 0, 'and the file is gone')
  })

  t.test('the same file again changes nothing', async (t) => {
    const before = [await db.collection('people').find().toArray(), await db.collection('recipients').find().toArray()]
    clock.advance(60_000)
    t.match(await bring(file), { state: 'done', result: { rows: 6, created: 0, changed: 0, unchanged: 4, failed: 2 } })
    t.same([await db.collection('people').find().toArray(), await db.collection('recipients').find().toArray()], before)
    t.match(await bring(file.replace('上海', '杭州')), { result: { created: 0, changed: 1, unchanged: 3 } })
    t.match(await find('m1'), { attributes: { city: '杭州', age: 18 } })
  })

  t.test('rows about one person add up in their order, and join persons', async (t) => {
    const two = 'externalId,unionId,attributes.a,attributes.b\nj1,,1,\nj2,uj,,\nj1,,2,2\nj1,uj,,3\n'
    t.match(await bring(two), { result: { rows: 4, created: 1, failed: 0 } })
    const [one, other] = [await find('j1'), await find('j2')]
    t.equal(one!.id, other!.id)
    t.match(one, { attributes: { a: '2', b: '3' } })
  })

  t.test('NDJSON as well', async (t) => {
    const lines = `{"externalId":"n1","attributes":{"age":3},"tags":{"a":true}}\n{"nobody":1}\n{"openId":"n2"}`
    t.match(await bring(lines, { type: 'application/x-ndjson; charset=utf-8', query: `?accountId=${mini.appId}` }), {
      result: { rows: 3, created: 2, failed: 1, faults: [{ row: 2, field: 'nobody', rule: 'unrecognized_keys' }] }
    })
    t.ok(await rooms.people.find({ openId: 'n2' }, mini.id))
  })

  t.test('are refused whole when the file is none, and nothing is kept', async (t) => {
    const people = await count('people')
    const gbk = Buffer.concat([
      Buffer.from('externalId,attributes.city\nm9,'),
      Buffer.from([0xc9, 0xcf, 0xba, 0xa3, 0x0a])
    ])
    const late = Buffer.concat([Buffer.from(`externalId\n${'m\n'.repeat(140_000)}`), Buffer.from([0xff])])
    const table: [string, string | Buffer, number, string][] = [
      ['GBK', gbk, 422, 'import.encoding'],
      ['GBK, late', late, 422, 'import.encoding'],
      ['cut off inside a character', Buffer.from('externalId\n上').subarray(0, -1), 422, 'import.encoding'],
      ['UTF-16', Buffer.from('\ufeffexternalId\nm1', 'utf16le'), 422, 'import.encoding'],
      ['UTF-16 without its mark', Buffer.from('externalId\nm1', 'utf16le'), 422, 'import.encoding'],
      ['a spreadsheet', Buffer.from([0x50, 0x4b, 3, 4, 20, 0, 6, 0, 8, 0]), 422, 'import.spreadsheet'],
      ['a header of nothing known', 'name,city\na,b\n', 422, 'import.header'],
      ['nothing', '', 422, 'import.empty']
    ]
    for (const [name, body, status, code] of table) {
      const answer = await send(body)
      t.equal(answer.statusCode, status, `${name}: ${answer.body}`)
      t.equal(answer.json().code, code, name)
    }
    const small = createImports({ ...parts, ...rooms, lists: rooms.audiences.lists, maxBytes: 300_000 })
    const endless = (async function* () {
      for (;;) yield Buffer.from(`externalId\n${'m1234567890\n'.repeat(10_000)}`)
    })()
    const whose = { format: 'csv', audienceId: null, accountId: null, accountIds: null } as const
    await t.rejects(small.start({ source: endless, ...whose }), { status: 413, code: 'import.too-large' })
    t.match((await send(table[6]![1])).json().errors, [{ pointer: '/columns/0' }, { pointer: '/columns/1' }])
    t.equal((await send(file, { type: 'application/json' })).statusCode, 415)
    t.equal((await send(file, { type: 'multipart/form-data' })).statusCode, 415)
    t.equal((await send(file, { query: '?accountId=wx9' })).statusCode, 404)
    t.equal((await send(file, { query: '?audienceId=nobody' })).statusCode, 404)
    t.same([await count('people'), await count('importPieces')], [people, 0])
    t.equal(await count('imports', { state: 'running' }), 0)
  })

  t.test('only who may', async (t) => {
    t.equal((await send(file, { headers: await key(['people:read']) })).statusCode, 403)
    t.equal((await send(file, { headers: await login('viewer') })).statusCode, 403)
    t.match(await bring('externalId\nm1\n', { headers: await login('editor') }), { state: 'done' })
    t.equal((await send(file, { headers: await key(['people:write']), query: '?audienceId=x' })).statusCode, 403)
    // m1 is known to another account; to this caller there is neither that account nor that person
    const mixed = `externalId,accountId,openId,attributes.a\nm1,,,stolen\nb1,${other.appId},ob1,1\nb2,${mini.appId},ob2,1\n`
    const seen = await bring(mixed, { headers: bound })
    t.match(seen.result, {
      created: 1,
      failed: 2,
      faults: [
        { row: 2, rule: 'people.not-found' },
        { row: 4, rule: 'accounts.not-found' }
      ]
    })
    t.equal((await find('m1'))!.attributes.a, undefined)
  })

  t.test('a crash repeats a batch and skips none', async (t) => {
    const many = `externalId,attributes.n:number\n${Array.from({ length: 1_200 }, (_, i) => `c${i},${i}`).join('\n')}\n`
    const { id } = (await send(many)).json()
    const { identifyAll } = rooms.people
    let calls = 0
    // dies after the second batch was stored, before its place was noted
    rooms.people.identifyAll = async (...given) => {
      const made = await identifyAll(...given)
      if (++calls === 2) throw new Error('killed')
      return made
    }
    await t.rejects(work(id), /killed/)
    t.match(await watch(id), { state: 'running', done: 500 })
    t.equal(await count('imports', { _id: id as never, row: 501 }), 1)
    await work(id)
    t.equal(calls, 4, 'from the second batch on')
    rooms.people.identifyAll = identifyAll
    t.match(await watch(id), { state: 'done', result: { rows: 1_200, created: 700, unchanged: 500, failed: 0 } })
    t.equal(await count('people', { externalId: /^c\d+$/ }), 1_200)
    t.equal((await find('c1199'))!.attributes.n, 1_199)
    await work(id)
    t.match(await watch(id), { state: 'done', result: { rows: 1_200 } }, 'again is nothing')
  })

  t.test('an import without a job is taken up, and one that never comes through fails plainly', async (t) => {
    const { id } = (await send('externalId\nlost\n')).json()
    await db.collection('agendaJobs').deleteMany({ name: 'people.import' })
    await rooms.jobs.run('people.imports')
    t.equal(await count('agendaJobs', { name: 'people.import' }), 0, 'not while it may be under way')
    clock.advance(61_000)
    await rooms.jobs.run('people.imports')
    t.equal(await count('agendaJobs', { name: 'people.import', uniqueKey: id }), 1)
    const { identifyAll } = rooms.people
    rooms.people.identifyAll = () => Promise.reject(new Error('the store is away'))
    for (let i = 0; i < 7; i++) await t.rejects(work(id))
    await work(id)
    rooms.people.identifyAll = identifyAll
    t.match(await watch(id), { state: 'failed', error: /^stopped after 0 rows, which are stored: the store is away/ })
    t.equal(await count('importPieces'), 0)
  })
})

t.test('a list by the file', async (t) => {
  const { app, rooms, db, key, account, clock } = await buildTestApp(t)
  const mini = await account()
  const machine = await key(['people:write', 'audiences:write', 'audiences:read', 'accounts:read'])
  const { audiences, people } = rooms
  const source = (id: string) => audiences.sourceOf(id)
  const send = async (file: string, audienceId: string) => {
    const answer = await app.inject({
      method: 'POST',
      url: `/v1/people/import?audienceId=${audienceId}`,
      headers: { ...machine, 'content-type': 'text/csv' },
      payload: Buffer.from(file)
    })
    if (answer.statusCode === 202) await rooms.jobs.run('people.import', { id: answer.json().id })
    return answer.statusCode === 202 ? rooms.operations.get(answer.json().id) : answer.json()
  }
  const everybody = async (id: string, { limit = 1_000, createdBefore = null as Date | null } = {}) => {
    const ids: string[] = []
    for (let after: string | null = null; ;) {
      const part: Awaited<ReturnType<typeof audiences.stream>> = await audiences.stream(await source(id), mini, {
        after,
        limit,
        createdBefore
      })
      ids.push(...part.persons.map(({ id }) => id))
      if (part.next === null) return ids
      after = part.next
    }
  }
  const posted = await people.identify({ externalId: 'posted' })
  const list = await audiences.create({ name: '名单', personIds: [posted.id] })
  const crowd = `externalId\n${Array.from({ length: 1_100 }, (_, i) => `l${i}`).join('\n')}\nposted\n`

  t.test('holds whom it held and whom the file names, each once', async (t) => {
    t.match(await send(crowd, list.id), { state: 'done', result: { created: 1_100, joined: 1_101 } })
    t.match(await send(crowd, list.id), { result: { created: 0, unchanged: 1_101, joined: 0 } })
    for (const limit of [7, 1_000, 5_000]) {
      const ids = await everybody(list.id, { limit })
      t.equal(ids.length, 1_101)
      t.equal(new Set(ids).size, 1_101)
    }
    t.match(await audiences.get(list.id), { personIds: [posted.id], imported: 1_101 })
    t.match(await audiences.preview(mini, await source(list.id)), { count: 1_101 })
    const ids = (await people.byExternalIds(['l3', 'l4'])).values()
    const stranger = await people.identify({ externalId: 'stranger' })
    t.same(
      await audiences.among(await source(list.id), mini, [...ids, stranger.id, posted.id]),
      new Set([...(await people.byExternalIds(['l3', 'l4'])).values(), posted.id])
    )
    t.notOk(await audiences.matches(await source(list.id), mini, stranger.id))
  })

  t.test('who comes after a run began is not in it', async (t) => {
    const before = clock.now()
    clock.advance(1_000)
    t.match(await send('externalId\nlate\n', list.id), { result: { joined: 1 } })
    t.equal((await everybody(list.id)).length, 1_102)
    t.equal((await everybody(list.id, { createdBefore: before })).length, 1_101)
  })

  t.test('whom a merge joins stays in it once, whom an erasure takes is out', async (t) => {
    const [a, b] = [(await people.find({ externalId: 'l10' }))!, (await people.find({ externalId: 'l11' }))!]
    await people.identify({ externalId: 'l10', unionId: 'same' })
    await people.identify({ externalId: 'l11', unionId: 'same' })
    const one = (await people.find({ unionId: 'same' }))!
    t.same(
      (await everybody(list.id, { limit: 3 })).filter((id) => id === one.id),
      [one.id]
    )
    t.equal((await everybody(list.id, { limit: 3 })).length, 1_101)
    t.ok(await audiences.matches(await source(list.id), mini, one.id))
    await people.erase(one.id)
    t.equal((await everybody(list.id)).length, 1_100)
    t.equal(await db.collection('audienceMembers').countDocuments({ personId: { $in: [a.id, b.id] } }), 0)
  })

  t.test('replaced or deleted, it stays for the runs that began with it', async (t) => {
    const old = await source(list.id)
    t.match(await audiences.patch(list.id, { personIds: [] }), { personIds: [], imported: 0 })
    t.same(await everybody(list.id), [])
    t.match(await audiences.preview(mini, old), { count: 1_100 })
    t.equal(await db.collection('audienceMembers').countDocuments({ expireAt: null }), 0)
    t.match(await send('externalId\nl1\n', list.id), { result: { joined: 1 } })
    const [member] = await everybody(list.id)
    t.equal(member, (await people.find({ externalId: 'l1' }))!.id)
    await audiences.remove(list.id)
    t.equal(await db.collection('audienceMembers').countDocuments({ expireAt: null }), 0)
  })

  t.test('replaced while a file comes in, the import says so', async (t) => {
    const { id } = await audiences.create({ name: 'x', personIds: [] })
    const { identifyAll } = people
    people.identifyAll = async (...given) => {
      await audiences.patch(id, { personIds: [posted.id] })
      return identifyAll(...given)
    }
    t.match(await send(crowd, id), { state: 'failed', error: /the list was replaced or deleted meanwhile/ })
    people.identifyAll = identifyAll
    t.same(await everybody(id), [posted.id])
  })

  t.test('a rule is no list', async (t) => {
    const { id } = await audiences.create({ name: 'rule', rule: { all: [] } })
    t.match(await send(crowd, id), { status: 422, errors: [{ code: 'audience.not-a-list' }] })
  })
})
