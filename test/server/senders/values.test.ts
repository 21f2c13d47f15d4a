import t from 'tap'
import { checkValue, fieldType, maxLength, parseTemplateContent } from '../../../server/senders/values.js'

/** Values each type takes, and values it is answered 47003 for. */
const CASES: Record<string, { good: string[]; bad: string[] }> = {
  thing: {
    good: ['东门柜机', 'Box 7, 2nd floor!', '雁'.repeat(20), '😀'.repeat(20)],
    bad: ['雁'.repeat(21), 'a\nb', 'a\u0000']
  },
  number: { good: ['39', '39.5', '1'.repeat(32)], bad: ['1'.repeat(33), '-3', '3,5', '3.', '三', '1e3'] },
  letter: { good: ['ABC', 'z'.repeat(32)], bad: ['z'.repeat(33), 'A1', 'A B', '字'] },
  symbol: { good: ['##', '★☆', '!?-+='], bad: ['######', 'a#', '1#', '字'] },
  character_string: { good: ['A-2019-0042', '8-1-2', 'x'.repeat(32)], bad: ['x'.repeat(33), '订单8', 'あ1', 'a\tb'] },
  time: {
    good: [
      '20:45',
      '9:05',
      '20:45:30',
      '2021年3月9日 20:45',
      '2024-05-01 09:30',
      '2024/05/01 9:30',
      '15:01~16:30',
      '2019年10月1日15:01~2019年10月1日 17:00'
    ],
    bad: ['24:00', '20:60', '2045', '2021年3月9日', '明天 20:45', '20:45~', '1:00~2:00~3:00', '2024-13-01 09:30']
  },
  date: {
    good: [
      '2021-03-09',
      '2021年3月9日',
      '2021/3/9',
      '2021.03.09',
      '2021年3月',
      '2021-03',
      '3月9日',
      '03-09',
      '2021年3月9日 20:45',
      '2021-03-09~2021-03-12'
    ],
    bad: ['20210309', '20:45', '2021-13-01', '2021-03-32', '2021-03/09', 'tomorrow', '~']
  },
  amount: {
    good: ['¥39.80', '39.80元', '￥1234567890', '$5', '100'],
    bad: ['12345678901', '¥', '39,80', '五元', '¥-3', '39.80 元整']
  },
  phone_number: {
    good: ['+86-0571-81234567', '13800000000', '(0571) 8123'],
    bad: ['1'.repeat(18), 'call me', '电话', '+-']
  },
  car_number: { good: ['浙A1B2C3', '粤Z1234港', 'A12345'], bad: ['浙A1B2C3456', '浙江A123', '浙A-123', '浙A 12'] },
  name: {
    good: ['李小云', '雁'.repeat(10), 'Anna-Maria Smith', 'x'.repeat(20), '李Ann'],
    bad: ['雁'.repeat(11), 'x'.repeat(21), '李' + 'x'.repeat(10), '李2']
  },
  phrase: { good: ['已发货', '等待您付款'], bad: ['等待您的付款', 'OK', '已 发货', '已发货!'] },
  const: { good: ['东区'], bad: ['雁'.repeat(21)] },
  enum: { good: ['东区'], bad: ['a\nb'] }
}

t.test('a value', async (t) => {
  for (const [type, { good, bad }] of Object.entries(CASES)) {
    t.test(`of type ${type} is checked by its rule`, async (t) => {
      for (const value of good) t.equal(checkValue(type, value), null, JSON.stringify(value))
      for (const value of bad)
        t.match(checkValue(type, value), { rule: /^[a-z_]+$/, message: /./ }, JSON.stringify(value))
      for (const blank of ['', '  ']) t.match(checkValue(type, blank), { rule: 'empty' }, 'blank')
    })
  }
  t.test('names the rule it breaks', async (t) => {
    t.match(checkValue('thing', '雁'.repeat(21)), { rule: 'thing', message: /20/ })
    t.match(checkValue('thing', 'a\nb'), { rule: 'control' })
    t.match(checkValue('enum', '西区', ['东区', '南区']), { rule: 'enum', message: 'one of: 东区, 南区' })
    t.equal(checkValue('enum', '东区', ['东区', '南区']), null)
    t.match(checkValue('const', '西区', ['东区']), { rule: 'enum' })
  })
  t.test('of a field without a type is never judged', async (t) => {
    for (const type of ['keyword', 'first', 'remark', 'orderNo', 'short_thing']) {
      t.equal(checkValue(type, '雁'.repeat(300) + '\n'), null)
    }
  })
  t.test('may be cut where its rule is a plain length', async (t) => {
    t.same(['thing', 'character_string', 'letter', 'amount', 'keyword'].map(maxLength), [20, 32, 32, null, null])
  })
})

t.test('a field key', async (t) => {
  t.test('begins with its type', async (t) => {
    t.same(['thing1', 'keyword12', 'character_string2', 'first', 'orderNo', '7'].map(fieldType), [
      'thing',
      'keyword',
      'character_string',
      'first',
      'orderNo',
      '7'
    ])
  })
})

t.test('a template content', async (t) => {
  t.test('of the legacy kind puts names right before the fields', async (t) => {
    t.same(parseTemplateContent('地址{{keyword1.DATA}}\n取件码{{keyword2.DATA}}\n'), [
      { key: 'keyword1', name: '地址', type: 'keyword' },
      { key: 'keyword2', name: '取件码', type: 'keyword' }
    ])
  })
  t.test('of the subscribe kind has a colon between, and keys of their own numbering', async (t) => {
    t.same(parseTemplateContent('取件码:{{character_string4.DATA}}\n时间:{{ time3.DATA }}\n'), [
      { key: 'character_string4', name: '取件码', type: 'character_string' },
      { key: 'time3', name: '时间', type: 'time' }
    ])
  })
  t.test('of a service account may have lines without a name, free names and several fields a line', async (t) => {
    t.same(
      parseTemplateContent(
        '{{first.DATA}}\n课程：{{keyword1.DATA}}\n时间：{{keyword2.DATA}}，地点：{{place.DATA}}\n{{remark.DATA}}'
      ),
      [
        { key: 'first', name: 'first', type: 'first' },
        { key: 'keyword1', name: '课程', type: 'keyword' },
        { key: 'keyword2', name: '时间', type: 'keyword' },
        { key: 'place', name: '地点', type: 'place' },
        { key: 'remark', name: 'remark', type: 'remark' }
      ]
    )
    t.same(parseTemplateContent('您好\n单号：\n{{orderNo.DATA}}{{orderNo.DATA}}'), [
      { key: 'orderNo', name: '单号', type: 'orderNo' }
    ])
  })
  t.test('without fields has none', async (t) => {
    t.same(parseTemplateContent('hello {{name}}'), [])
    t.same(parseTemplateContent(''), [])
  })
})
