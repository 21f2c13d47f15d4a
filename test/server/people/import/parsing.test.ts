import t from 'tap'
import { readHeader } from '../../../../server/people/import/columns.js'
import { readCsv, readNdjson, type FileRow } from '../../../../server/people/import/reading.js'
import { bodyOf } from '../../../../server/people/import/rows.js'

/** The bytes of a text from a place on, in pieces of `size`. */
const opened = (text: string, size = 7) =>
  async function* (from: number) {
    const bytes = Buffer.from(text)
    for (let at = from; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }

async function rowsOf(reading: AsyncIterable<FileRow[]>): Promise<FileRow[]> {
  const rows: FileRow[] = []
  for await (const part of reading) rows.push(...part)
  return rows
}

/** What each row of a CSV file says, or which rule it breaks at which row. */
async function saidBy(file: string, { size = 7, account = null as string | null } = {}) {
  const sheet = readHeader(file, account !== null)
  const start = { position: sheet.start, row: sheet.row }
  const rows = await rowsOf(readCsv(opened(file, size), sheet.delimiter, start))
  return rows.flatMap((row): unknown[] => {
    const verdict = bodyOf(row, sheet.columns, account)
    if (verdict === null) return []
    return 'body' in verdict ? [verdict.body] : [`${verdict.row} ${verdict.fault.field} ${verdict.fault.rule}`]
  })
}

t.test('a CSV file', async (t) => {
  const table: [string, string, unknown[]][] = [
    ['of ids', 'externalId\nm1\nm2\n', [{ externalId: 'm1' }, { externalId: 'm2' }]],
    ['without a last line end', 'externalId\nm1', [{ externalId: 'm1' }]],
    [
      'with CRLF',
      'externalId,unionId\r\nm1,u1\r\nm2,\r\n',
      [{ externalId: 'm1', unionId: 'u1' }, { externalId: 'm2' }]
    ],
    [
      'with semicolons, as Excel writes it',
      'externalId;attributes.city\r\nm1;上海\r\nm2;"a;b"\r\n',
      [
        { externalId: 'm1', attributes: { city: '上海' } },
        { externalId: 'm2', attributes: { city: 'a;b' } }
      ]
    ],
    ['with tabs', 'externalId\tunionId\nm1\tu1\n', [{ externalId: 'm1', unionId: 'u1' }]],
    ['that says what parts it', 'sep=;\r\nexternalId;unionId\r\nm1;u1\r\n', [{ externalId: 'm1', unionId: 'u1' }]],
    [
      'with quotes, commas and line ends in cells',
      'externalId,attributes.note\nm1,"say ""hi"", then\nleave"\n',
      [{ externalId: 'm1', attributes: { note: 'say "hi", then\nleave' } }]
    ],
    [
      'of what looks like formulas',
      'externalId,attributes.a,attributes.b,attributes.c\n=1+1,"=HYPERLINK(""http://x"",""y"")",+86 21,@SUM(A1)\n-1,-1,,\n',
      [
        { externalId: '=1+1', attributes: { a: '=HYPERLINK("http://x","y")', b: '+86 21', c: '@SUM(A1)' } },
        { externalId: '-1', attributes: { a: '-1' } }
      ]
    ],
    [
      'of typed attributes',
      'externalId,attributes.age:number,attributes.vip:boolean,attributes.phone\nm1,18,TRUE,0013800138000\nm2,-1.5e2,否,\nm3,x,true,\nm4,1,maybe,\nm5,1e999,,\n',
      [
        { externalId: 'm1', attributes: { age: 18, vip: true, phone: '0013800138000' } },
        { externalId: 'm2', attributes: { age: -150, vip: false } },
        '4 attributes.age import.number',
        '5 attributes.vip import.boolean',
        '6 attributes.age import.number'
      ]
    ],
    [
      'of tags',
      'externalId,tags,tags.等级\nm1,新客|城市=上海;x = y,金\nm2,,true\n',
      [
        { externalId: 'm1', tags: { 新客: true, 城市: '上海', x: 'y', 等级: '金' } },
        { externalId: 'm2', tags: { 等级: true } }
      ]
    ],
    ['with empty rows', 'externalId,unionId\n\n,\nm1,\n ,\t\n', [{ externalId: 'm1' }]],
    [
      'with cells too many or too few',
      'externalId,unionId\nm1,u1,x\nm2\nm3,u3,\n',
      ['2  import.columns', { externalId: 'm2' }, { externalId: 'm3', unionId: 'u3' }]
    ],
    [
      'with rows that break the rules of identify',
      `externalId,unionId,tags\n,,a\n${'m'.repeat(129)},,\nm3,,a.b\nm4,,${'t'.repeat(65)}\nm5,,\n`,
      ['2  people.no-id', '3 externalId too_big', '4 tags.a.b people.field-name', /^5 tags/, { externalId: 'm5' }]
    ],
    [
      'with quotes that are never closed',
      'externalId,unionId\nm1,u1\n"m2,u2\nm3,"u3\nm4,u4\n',
      [{ externalId: 'm1', unionId: 'u1' }, '3 externalId import.control', { externalId: 'm4', unionId: 'u4' }]
    ],
    [
      'with a quote that is never closed',
      'externalId,unionId\nm1,u1\n"m2,u2\nm3,u3\nm4,u4\n',
      [
        { externalId: 'm1' },
        '3  import.quote',
        { externalId: 'm3', unionId: 'u3' },
        { externalId: 'm4', unionId: 'u4' }
      ]
    ],
    ['with quotes inside cells', 'externalId\n5" disk\n"a"b\n', [{ externalId: '5" disk' }, { externalId: '"a"b' }]]
  ]
  for (const [name, file, expected] of table) {
    t.match(await saidBy(file), expected, name)
    t.equal((await saidBy(file)).length, expected.length, `${name}: nothing more`)
    t.match(await saidBy(file, { size: 1 }), expected, `${name}, byte by byte`)
  }
  t.match(await saidBy('openId\no1\n', { account: 'wx1' }), [{ openId: 'o1', accountId: 'wx1' }])
  t.match(await saidBy('openId,accountId\no1,\no2,wx2\n'), ['2 accountId people.account-needed', { accountId: 'wx2' }])

  const long = `externalId,unionId\nm1,u1\n"m2,${'x'.repeat(70_000)}\nm3,u3\n`
  t.match(await saidBy(long, { size: 4096 }), [{ externalId: 'm1' }, '3  import.quote', { externalId: 'm3' }])
})

t.test('a header', async (t) => {
  const table: [string, string, string][] = [
    ['name\nx\n', 'import.column', '/columns/0'],
    ['externalId,attributes.a b\n', 'import.column', '/columns/1'],
    ['externalId,attributes.a:date\n', 'import.column', '/columns/1'],
    ['externalId,tags.a.b\n', 'import.column', '/columns/1'],
    ['externalId,externalId\n', 'import.column-twice', '/columns/1'],
    ['externalId,attributes.a,attributes.a:number\n', 'import.column-twice', '/columns/2'],
    ['attributes.a\n1\n', 'import.no-id', '/columns'],
    ['openId\no\n', 'import.account-needed', '/columns'],
    ['', 'import.empty', ''],
    ['"externalId\nm1\n', 'import.header', ''],
    ['externalId,'.repeat(7000), 'import.header', '']
  ]
  for (const [file, code, pointer] of table) {
    t.throws(
      () => readHeader(file.slice(0, 65_536), false),
      { errors: [{ code, pointer }] },
      JSON.stringify(file.slice(0, 40))
    )
  }
  t.match(readHeader('externalId , attributes.a:number\nm', false), { row: 1, start: 33, delimiter: ',' })
})

t.test('an NDJSON file', async (t) => {
  const of = async (file: string, size = 5) =>
    (await rowsOf(readNdjson(opened(file, size), { position: 0, row: 0 }))).flatMap((row): unknown[] => {
      const verdict = bodyOf(row, null, 'wx1')
      if (verdict === null) return []
      return 'body' in verdict ? [verdict.body] : [`${verdict.row} ${verdict.fault.field} ${verdict.fault.rule}`]
    })
  const file = [
    '{"externalId":"m1","attributes":{"age":3,"vip":true},"tags":{"新客":true,"a":"b"}}\r',
    '',
    '{"openId":"o1"}',
    '{"externalId":"m2"',
    '["m3"]',
    '{"externalId":"m4","surprise":1}',
    '{"externalId":"m5","attributes":{"a":[1]}}',
    '{"externalId":"m6","attributes":{"__proto__":1}}',
    '{"externalId":"m7","tags":{"$a":true}}',
    '{"externalId":"m8","attributes":{"a":null}}',
    '{"externalId":"m9"}'
  ].join('\n')
  const expected = [
    { externalId: 'm1', attributes: { age: 3, vip: true }, tags: { 新客: true, a: 'b' } },
    { openId: 'o1', accountId: 'wx1' },
    '4  import.json',
    /^5 .*invalid_type/,
    '6 surprise unrecognized_keys',
    /^7 attributes\.a invalid/,
    '8  import.json',
    '9 tags.$a people.field-name',
    /^10 attributes\.a invalid/,
    { externalId: 'm9' }
  ]
  for (const size of [1, 5, 1000]) t.match(await of(file, size), expected, `${size} bytes at a time`)
  const long = `{"externalId":"a"}\n{"externalId":"${'x'.repeat(200_000)}"}\n{"externalId":"b"}`
  t.match(await of(long, 10_000), [{ externalId: 'a' }, '2  import.too-long', { externalId: 'b' }])

  t.test('is gone on with where a reading ended', async (t) => {
    const rows = await rowsOf(readNdjson(opened(long, 10_000), { position: 0, row: 0 }))
    t.match(
      rows.map(({ row, end }) => [row, end]),
      [
        [1, 19],
        [2, 19 + 200_018],
        [3, Buffer.byteLength(long)]
      ]
    )
    const again = await rowsOf(readNdjson(opened(long, 10_000), { position: rows[1]!.end, row: 2 }))
    t.match(again, [{ row: 3, value: { externalId: 'b' } }])
  })
})

t.test('reading goes on wherever it ended', async (t) => {
  const file = 'externalId,attributes.note\r\nm1,"上\r\n海"\r\n\r\n"m2,x\r\nm3,y\r\n'
  const { start, row } = readHeader(file, false)
  const all = await rowsOf(readCsv(opened(file), ',', { position: start, row }))
  t.equal(all.at(-1)!.end, Buffer.byteLength(file))
  t.same(
    all.map((each) => each.row),
    [2, 3, 4, 5]
  )
  for (const [i, each] of all.entries()) {
    const rest = await rowsOf(readCsv(opened(file), ',', { position: each.end, row: each.row }))
    t.same(rest, all.slice(i + 1), `after row ${each.row}`)
  }
})
