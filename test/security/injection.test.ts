import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { csvOf } from '../../shared/csv.js'
import { Identify } from '../../shared/person.js'
import { checkValue } from '../../server/senders/values.js'
import { createRenderer } from '../../server/templates/content.js'
import { parsePush } from '../../server/wechat/callback.js'
import { createFinder } from '../../server/words/finder.js'
import { buildTestApp } from '../support/build-app.js'

/** Text that is meant to become more than text, at every place that reads some. */

t.test('cells of a CSV file are no formulas', async (t) => {
  const bad = [
    '=1+1',
    '+1',
    '-1',
    '@SUM(A1)',
    '\t=1',
    '\r=1',
    '\n=1',
    '＝1+1',
    '＋1',
    '－1',
    '＠x',
    '=HYPERLINK("http://x","y")'
  ]
  for (const text of bad) {
    const [line] = parseCsv(csvOf([['a', text, 'b']]))
    t.same(line, ['a', `'${text}`, 'b'], JSON.stringify(text))
  }
  const plain = ['桂花糕', '2030-03-04', 'a-b', '1=1', "it's", 'a"b', 'a,b', 'a\nb']
  t.same(parseCsv(csvOf([plain]))[0], plain, 'what is no formula stays as it is')
  t.same(parseCsv(csvOf([[-1, 2.5, true, null]]))[0], ['-1', '2.5', 'true', ''], 'numbers are numbers')
  for (const text of ['a;=1+1', 'a\t=1+1'])
    t.ok(csvOf([[text]]).startsWith('"'), 'nor behind the separator of another country')
})

t.test('a person has no field the driver takes for a type of its own', async (t) => {
  for (const where of ['attributes', 'tags']) {
    t.notOk(Identify.safeParse({ externalId: 'a', [where]: { _bsontype: 'ObjectId' } }).success, where)
    t.ok(Identify.safeParse({ externalId: 'a', [where]: { _bsontypes: 'ObjectId' } }).success, where)
  }
})

t.test('XML', async (t) => {
  const body = (inside: string, head = '') =>
    `${head}<xml><FromUserName>o</FromUserName>${inside}<CreateTime>1</CreateTime></xml>`
  t.test('with a document type is refused, whatever it declares', async (t) => {
    const entity = '<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    const bomb = `<!DOCTYPE xml [<!ENTITY a0 "ha">${Array.from({ length: 20 }, (_, n) => `<!ENTITY a${n + 1} "&a${n};&a${n};">`).join('')}]>`
    const outside = '<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd">'
    for (const head of [entity, bomb, outside, `<?xml version="1.0"?>${entity}`, entity.toLowerCase()]) {
      t.throws(() => parsePush(body('<Content>&x;&a20;</Content>', head), 'text/xml'), { code: 'callback.unreadable' })
    }
  })
  t.test('has no entities and no prototypes', async (t) => {
    const { raw } = parsePush(body('<Content>&lt;b&gt;&#65;&amp;</Content>'), 'text/xml')
    t.equal(raw.Content, '&lt;b&gt;&#65;&amp;', 'left as it is written')
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString']) {
      try {
        parsePush(body(`<${name}><admin>1</admin></${name}>`), 'text/xml')
      } catch (error) {
        t.equal((error as { code?: string }).code, 'callback.unreadable')
      }
      t.equal(({} as { admin?: unknown }).admin, undefined, name)
    }
  })
  t.test('that is deep, long or broken costs little', async (t) => {
    const texts = [
      body('<a>'.repeat(5_000)),
      body(`${'<a>'.repeat(5_000)}${'</a>'.repeat(5_000)}`),
      body(`<Content>${'x'.repeat(200_000)}</Content>`),
      body('<![CDATA['.repeat(2_000)),
      body('<a '.repeat(20_000)),
      body('&'.repeat(100_000)),
      '<'.repeat(100_000)
    ]
    for (const text of texts)
      quick(t, `${text.slice(0, 60)}… of ${text.length}`, () => ignoring(() => parsePush(text, 'text/xml')))
  })
})

t.test('no text takes long to look through', async (t) => {
  const long = [
    'a'.repeat(5_000),
    '1'.repeat(5_000),
    `${'0'.repeat(4_000)}!`,
    `${'¥'.repeat(3_000)}`,
    `${' '.repeat(5_000)}x`,
    `${'年'.repeat(4_000)}`,
    `${'1,'.repeat(2_500)}`,
    `${'2030-1-1 '.repeat(600)}`
  ]
  const types = [
    'thing1',
    'number1',
    'letter1',
    'symbol1',
    'character_string1',
    'time1',
    'date1',
    'amount1',
    'phone_number1',
    'car_number1',
    'name1',
    'phrase1',
    'const1',
    'enum1'
  ]
  let looked = 0
  for (const text of long) {
    for (const type of types) {
      looked++
      quick(t, `${type}: ${text.slice(0, 9)}…`, () => checkValue(type as never, text))
    }
  }
  const finder = createFinder(Array.from({ length: 5_000 }, (_, n) => ({ word: `词${n}(a+)+$`, kind: '' })) as never)
  for (const text of long) quick(t, 'the word lists', () => finder.all(text))
  t.comment(`${looked} values by their rules`)
})

t.test('Liquid stays in its sandbox', async (t) => {
  const render = (text: string, user: object = { name: '小雁' }) => {
    const shape = { kind: 'subscribe', fields: [{ key: 'thing1', type: 'thing', name: 'x' }] }
    try {
      const compiled = createRenderer().compile(shape as never, { thing1: text } as never) as any
      return JSON.stringify(compiled.render ? compiled.render({ user, event: {}, tag: {}, data: {} }) : compiled)
    } catch (error) {
      return `refused: ${(error as Error).message}`
    }
  }
  const escapes = [
    '{{ user.constructor }}',
    '{{ user.__proto__ }}',
    '{{ user.constructor.constructor }}',
    '{{ user["__proto__"] }}',
    '{{ user.toString }}',
    '{{ user.name.constructor.name }}',
    "{% include '/etc/passwd' %}",
    "{% render '../../package.json' %}",
    "{% layout 'x' %}",
    '{{ process.env.HOME }}',
    '{{ globalThis }}',
    "{{ user | where_exp: 'x', 'x' }}"
  ]
  for (const text of escapes) t.notMatch(render(text), /function|\[native|root:|"name": "hongyan"|Object:/, text)
  const heavy = [
    '{% for i in (1..100000000) %}x{% endfor %}',
    '{% for i in (1..9999) %}{% for j in (1..9999) %}{{ i }}{% endfor %}{% endfor %}',
    `{{ user.name | ${Array.from({ length: 200 }, () => "append: 'xxxxxxxxxxxxxxxx'").join(' | ')} }}`,
    "{% assign a = 'x' %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
    `${'{{ user.name }}'.repeat(2_000)}`
  ]
  for (const text of heavy) quick(t, text.slice(0, 60), () => render(text), 1_500)
})

t.test('names of an object’s own are no way into a prototype', async (t) => {
  const { app, login, account, key } = await buildTestApp(t)
  const owner = await login()
  const { id } = await account()
  const send = (url: string, payload: string, headers = owner, method: 'POST' | 'PATCH' = 'POST') =>
    app.inject({ method, url, headers: { ...headers, 'content-type': 'application/json' }, payload })
  const texts = [
    '{"externalId":"x","attributes":{"__proto__":{"admin":true}}}',
    '{"externalId":"x","attributes":{"constructor":{"prototype":{"admin":true}}}}',
    '{"externalId":"x","__proto__":{"attributes":{"admin":true}}}',
    '{"externalId":"x","attributes":{"\\u005f\\u005fproto\\u005f\\u005f":"x"}}'
  ]
  for (const text of texts) {
    const { statusCode } = await send('/v1/people/identify', text)
    t.ok(statusCode === 422 || statusCode === 400, `${text}: ${statusCode}`)
  }
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'then']) {
    const person = await send(
      '/v1/people/identify',
      `{"externalId":"p-${name}","attributes":{"${name}":"x"},"tags":{"${name}":"y"}}`
    )
    if (person.statusCode === 200) t.match(person.json(), { attributes: { [name]: 'x' }, tags: { [name]: 'y' } })
    else t.equal(person.statusCode, 422)
    const at = new Date().toISOString()
    const events = `{"accountId":"${id}","items":[{"id":"${name}","externalId":"p-${name}","name":"e","at":"${at}","properties":{"${name}":"x"}}]}`
    t.ok((await send('/v1/events', events, await key(['events:write']))).statusCode < 500)
    const rule = `{"accountId":"${id}","rule":{"attribute":"${name}","op":"eq","value":"x"}}`
    t.ok((await send('/v1/audiences/preview', rule)).statusCode < 500)
    t.ok(
      (await app.inject({ url: `/v1/people?sort=${name}&${name}=1&__proto__[admin]=1`, headers: owner })).statusCode <
        500
    )
  }
  for (const op of ['$where', '$expr', '$function', '$regex']) {
    const rule = `{"accountId":"${id}","rule":{"attribute":"a.${op}","op":"${op}","value":{"${op}":"1"}}}`
    t.equal((await send('/v1/audiences/preview', rule)).statusCode, 422, `${op} is no comparison of ours`)
  }
  t.equal(({} as { admin?: unknown }).admin, undefined)
})

t.test('a push in XML with entities gets no further than the door', async (t) => {
  const { app, account } = await buildTestApp(t)
  const token = 'callbacktoken0123'
  const { appId } = await account({ callback: { token } })
  const [timestamp, nonce] = ['1898902800', 'n0nce']
  const signature = createHash('sha1').update([token, timestamp, nonce].sort().join('')).digest('hex')
  const url = `/callback/${appId}?${new URLSearchParams({ signature, timestamp, nonce }).toString()}`
  const payload = '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><xml><FromUserName>&y;</FromUserName></xml>'
  const answer = await app.inject({ method: 'POST', url, headers: { 'content-type': 'text/xml' }, payload })
  t.match(answer.json(), { status: 422, code: 'callback.unreadable' })
  t.notMatch(answer.body, /root:/)
})

/** Fails when it takes long; a machine with other work gets a second. */
function quick(t: Test, what: string, act: () => unknown, limitMs = 1_000): void {
  const began = performance.now()
  act()
  const took = Math.round(performance.now() - began)
  if (took > limitMs) t.fail(`${what} took ${took} ms`)
  else t.pass(what)
}

function ignoring(act: () => unknown): void {
  try {
    act()
  } catch {
    // that it is refused is well; that it is refused at once is what is looked at
  }
}

/** CSV as RFC 4180 has it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, bare, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/g)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? bare ?? '')
    if (end === '\r\n') rows.push([])
    if (end === '') break
  }
  return rows
}
