import t from 'tap'
import { BUILT_IN } from '../../../server/words/built-in.js'
import { createFinder, wordIn } from '../../../server/words/finder.js'
import { ListedWord, WordListId } from '../../../shared/words.js'

const listed = (word: string, more: Partial<ListedWord> = {}): ListedWord => ({
  word,
  kind: '',
  titleOnly: false,
  ...more
})

t.test('a finder', async (t) => {
  const finder = createFinder([
    listed('优惠'),
    listed('优惠券', { kind: '券' }),
    listed('VIP 卡'),
    listed('活动', { titleOnly: true }),
    listed('c++')
  ])
  const table: [text: string, first: string | null, why: string][] = [
    ['您的包裹到了', null, 'nothing'],
    ['送您优惠', '优惠', 'inside a text'],
    ['送您优惠券', '优惠券', 'the longest of two'],
    ['优 惠\u200b券', '优惠券', 'blanks and invisible marks hide nothing'],
    ['ｖｉｐ卡升级', 'VIP 卡', 'nor width and case'],
    ['活动地点', null, 'what only titles may not hold'],
    ['学习C++', 'c++', 'signs are no pattern'],
    ['', null, 'no text']
  ]
  for (const [text, first, why] of table) t.equal(finder.first(text)?.word ?? null, first, why)
  t.same(
    finder.all('优惠券和优惠').map(({ word }) => word),
    ['优惠券', '优惠']
  )
  t.same(
    finder.all('优惠券').map(({ word }) => word),
    ['优惠券'],
    'no word inside another'
  )
  t.same(
    finder.all('活动提醒', true).map(({ word }) => word),
    ['活动']
  )
  t.same(finder.all('活动提醒'), [])
})

t.test('an empty list finds nothing', async (t) => {
  const finder = createFinder([])
  t.equal(finder.first('赌博'), null)
  t.same(finder.all('赌博', true), [])
  t.equal(createFinder([listed(' \u200b')]).first(' '), null, 'nor does a word of blanks')
})

t.test('a message', async (t) => {
  const finder = createFinder([listed('赌博')])
  t.same(wordIn(finder, { thing1: { value: '包裹' }, thing2: { value: '线上赌 博' } }), {
    field: 'thing2',
    word: '赌博'
  })
  t.equal(wordIn(finder, { thing1: { value: '包裹' } }), null)
})

t.test('the built-in lists', async (t) => {
  for (const id of WordListId.options) {
    const words = BUILT_IN[id]
    t.ok(words.length > 40, `${id}: ${words.length}`)
    t.equal(new Set(words.map(({ word }) => word)).size, words.length, 'each once')
    for (const each of words) t.equal(ListedWord.safeParse(each).success, true, each.word)
  }
  const sensitive = createFinder(BUILT_IN.sensitive)
  for (const text of [
    '您的订单已发货',
    '预约成功，请于 15:00 到店',
    '账户余额变动 100 元',
    '药品已备好，请到店取药',
    '下周课程安排',
    '会员积分到账'
  ]) {
    t.equal(sensitive.first(text), null, text)
  }
})

t.test('looking costs little', async (t) => {
  const finder = createFinder(BUILT_IN.sensitive)
  const began = performance.now()
  for (let i = 0; i < 20_000; i++) finder.first(`您在本店预约的第${i}号服务已确认`)
  const each = ((performance.now() - began) / 20_000) * 1000
  t.ok(each < 50, `${each.toFixed(2)} µs a field`)
})
