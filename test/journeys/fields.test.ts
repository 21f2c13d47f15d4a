import t from 'tap'
import { answers } from './fields-answers.js'
import { callProbes } from './fields-calls.js'
import { campaignProbes } from './fields-campaigns.js'
import { listProbes } from './fields-lists.js'
import { messageProbes } from './fields-messages.js'
import { fieldsOf, type Document, type Field } from './fields-paths.js'
import { buildWorld, type Probe, type World } from './fields-world.js'

/**
 * Every field that campaigns and messages have in the API, and what shows that it is heeded: a story that ends
 * differently where the field is said, or an answer in which it says something. The list of fields is read from
 * /openapi.json, so that one without such a test is a failure. `HONGYAN_FIELDS=text` plays the stories of some only.
 */

t.setTimeout(600_000)

const BELOW = ['/v1/campaigns', '/v1/runs', '/v1/messages']
/** Answered, and always empty: how many people a dry run will judge is not known before its end. */
const SAYS_NOTHING = new Set(['answer POST /v1/campaigns/{id}/dry-run total'])

/** The probes of a call. `twice`: with the field and with something else; otherwise with the field, as another call showed. */
type Round = { call: string; probes: readonly Probe[]; twice: boolean; ways?: Partial<World['ways']>; of?: Field['of'] }

const nameOf = ({ of, call, path }: Field) => `${of} ${call} ${path}`
/** The fields below a list's `data[]` are those of the thing itself. */
const bare = (path: string) => path.replace(/^data\[\]\./, '')
const placeIn = (call: string, field: string) =>
  call === 'POST /v1/messages/batch' && field !== 'accountId' && !field.startsWith('items') ? `items[].${field}` : field

t.test('fields', { timeout: 590_000 }, async (t) => {
  const only = process.env.HONGYAN_FIELDS
  const tests = new Map<string, string>()
  // Two worlds side by side: much of a story is waiting for a slot.
  const [one, w] = await Promise.all([buildWorld(t), buildWorld(t)])

  await t.test('are heeded', async (t) => {
    const plays = async (w: World, rounds: Round[]) => {
      for (const { probes, twice, ways, of = 'body', ...round } of rounds) {
        Object.assign(w.ways, { campaign: 'POST', message: 'one' }, ways)
        for (const { story, field, said, instead, gives, call = round.call } of probes) {
          const name = `${call} ${field}`
          if (only !== undefined && !name.includes(only)) continue
          t.notSame(gives[0], gives[1], `${name} makes a difference`)
          const seen = await story(w, said)
          t.same(twice ? [seen, await story(w, instead)] : [seen], twice ? gives : [gives[0]], name)
          tests.set(nameOf({ of, call, path: placeIn(call, field) }), `are heeded > ${name}`)
        }
      }
    }
    await Promise.all([
      plays(one, [
        { call: 'POST /v1/campaigns', probes: campaignProbes, twice: true },
        { call: 'PATCH /v1/campaigns/{id}', probes: campaignProbes, twice: false, ways: { campaign: 'PATCH' } }
      ]),
      plays(w, [
        { call: 'POST /v1/messages', probes: messageProbes, twice: true },
        { call: 'POST /v1/messages/batch', probes: messageProbes, twice: false, ways: { message: 'batch' } },
        { call: '', probes: callProbes, twice: true },
        { call: '', probes: listProbes(), twice: true, of: 'query' }
      ])
    ])
  })
  if (only !== undefined) return

  const document = (await w.app.inject('/openapi.json')).json() as Document
  const fields = fieldsOf(document, BELOW)
  await t.test('are told', async (t) => {
    const shapeOf = (call: string) =>
      fields.flatMap((field) => (field.of === 'answer' && field.call === call ? [bare(field.path)] : []))
    const alike = (call: string) => {
      const shape = shapeOf(call).filter((path) => !path.startsWith('page.'))
      const calls = new Set(fields.map((field) => field.call))
      return [...calls].filter((other) => {
        const its = shapeOf(other).filter((path) => !path.startsWith('page.'))
        return its.length === shape.length && its.every((path) => shape.includes(path))
      })
    }
    for (const [index, { call, answer, says }] of (await answers(w)).entries()) {
      t.match(answer, says as never, `${call} (${index + 1})`)
      const name = `are told > ${call} (${index + 1})`
      const told = new Set(saidIn(says).map(bare))
      const calls = alike(call)
      for (const field of fields) {
        const isPage = field.path.startsWith('page.')
        if (field.of !== 'answer' || !told.has(bare(field.path)) || !(isPage || calls.includes(field.call))) continue
        if (!tests.has(nameOf(field))) tests.set(nameOf(field), name)
      }
    }
  })

  const known = fields.filter((field) => !SAYS_NOTHING.has(nameOf(field)))
  const without = known.filter((field) => !tests.has(nameOf(field))).map(nameOf)
  t.same(without, [], 'each of them has a test')
  for (const field of known) t.comment(`${nameOf(field)} → fields.test.ts: ${tests.get(nameOf(field))}`)
  t.comment(`${known.length} fields of campaigns and messages, each with a test that fails when it is ignored`)
})

/** The fields that say something in a pattern, by their paths; made-up names are a `*` as well. */
function saidIn(says: unknown, path = ''): string[] {
  if (says === null || says === undefined) return []
  if (Array.isArray(says)) return says.flatMap((each) => [path, ...saidIn(each, `${path}[]`)])
  if (typeof says !== 'object' || says instanceof RegExp) return [path]
  const kind = path.endsWith('trigger') && 'kind' in says ? `(${String(says.kind)})` : ''
  return Object.entries(says).flatMap(([name, value]) => {
    const below = `${path}${kind}`
    return [
      path,
      ...saidIn(value, below === '' ? name : `${below}.${name}`),
      ...(below === '' ? [] : saidIn(value, `${below}.*`))
    ]
  })
}
