import t from 'tap'
import { toRegExp } from '../../../server/embedded/bson/regex.js'

// pattern, options, what it matches, what it does not
const TABLE: [string, string, string[], string[]][] = [
  ['\\Aab\\z', '', ['ab'], ['ab\n', 'xab']],
  ['\\Aab\\Z', '', ['ab', 'ab\n'], ['ab\n\n', 'abc']],
  ['\\Ab', 'm', ['b'], ['a\nb']],
  ['^ab$', '', ['ab', 'ab\n'], ['ab\n\n', 'ab\r', 'x\nab']],
  ['^b$', 'm', ['a\nb\nc', 'b'], ['a\rb\rc', 'a\u2028b']],
  ['^$', 'm', ['', 'a\n\nb'], ['a\n']],
  ['^a.b$', '', ['a\rb', 'a\u2028b', 'a😀b'], ['a\nb', 'a😀😀b']],
  ['^a.b$', 's', ['a\nb'], ['ab']],
  ['\\Qa.b(\\E+', '', ['a.b((', 'a.b('], ['axb(']],
  ['^[\\Q]-\\E]+$', '', [']-]'], ['x']],
  ['^[[:alpha:]_]+$', '', ['aZ_'], ['a1', 'é']],
  ['^[[:^digit:]]$', '', ['x'], ['1']],
  ['^[]a]+$', '', [']a'], ['b']],
  ['^\\h+$', '', [' \t\u3000'], ['\n']],
  ['^a\\Rb$', '', ['a\r\nb', 'a\nb'], ['ab']],
  ['^\\x{41}\\x42\\e\\a\\o{101}$', '', ['AB\x1b\x07A'], ['ABeaA']],
  ['^\\x{1f600}$', '', ['😀'], ['x']],
  ['^\\w\\s\\d$', '', ['a 1'], ['é 1', 'a\u00a01', 'a ١']],
  ['^\\W$', '', ['é', '字', '😀'], ['a']],
  ['^\\p{Han}\\p{L}\\PL$', '', ['字é1'], ['aéb']],
  ['^(?P<x>a)\\k{x}\\g1\\1$', '', ['aaaa'], ['aaa']],
  ['^É(?#comment)字$', 'i', ['é字'], ['e字']],
  ['(?i)(?m)^k$', '', ['K', 'a\nk'], ['a k']],
  ['a b # c', 'x', ['ab'], ['a b']],
  ['a{,3}', '', ['a{,3}'], ['aaa']],
  ['^[^a]$', 'i', ['b', '😀'], ['A', 'a']],
  ['^[\\d-x]+$', '', ['1-x'], ['w']],
  // these run in the linear form
  ['^([a-z]+)+$', 'i', ['aBc', 'aBc\n'], ['ab1']],
  ['^(.+)+é$', 'i', ['a😀É'], ['é', 'a\né']],
  ['^([^x]|字)+$', '', ['😀字'], ['axb']],
  ['^(a|b)+$', 'm', ['x\nab\ny'], ['x\nac']]
]

t.test('PCRE patterns mean what they mean there', async (t) => {
  for (const [pattern, options, yes, no] of TABLE) {
    const regex = toRegExp(pattern, options)
    // Line separators in a test's name would break its line of TAP.
    t.same(
      yes.map((text) => regex.test(text)),
      yes.map(() => true),
      `/${encodeURI(pattern)}/${options} matches`
    )
    t.same(
      no.map((text) => regex.test(text)),
      no.map(() => false),
      `/${encodeURI(pattern)}/${options} does not match`
    )
  }
})

t.test('what JavaScript has no words for is refused', async (t) => {
  const patterns = [
    'a\\Kb',
    '\\Ga',
    '\\X',
    'a++',
    '(?>a)',
    '(?|a|b)',
    'a(?i)b',
    '(?i:a)',
    '(*FAIL)',
    '[[:what:]]',
    '\\y'
  ]
  for (const pattern of [...patterns, '(', ')', '[a', 'a\\', '[b-a]', '*', '\\p{Nothing}', '(a)\\2'])
    t.throws(() => toRegExp(pattern, ''), { code: 51091 }, pattern)
})

t.test('no pattern backtracks without end', async (t) => {
  const text = `${'a'.repeat(40)}!`
  const patterns: [string, string][] = [
    ['^(a+)+$', ''],
    ['^(a+)+$', 'i'],
    ['^(a+)+$', 'm'],
    ['^(a|aa)+$', 's'],
    ['^(a|a)*b', 'x'],
    ['^(.*)*$x', ''],
    ['^([\\w.]+)+@', 'i']
  ]
  for (const [pattern, options] of patterns) {
    const began = performance.now()
    t.notOk(toRegExp(pattern, options).test(text))
    t.ok(performance.now() - began < 1000, `/${pattern}/${options} is quick`)
  }
  for (const pattern of ['^(?=a)(a+)+$', '^(a)(\\1+)+$', '^(a+){1,40}$'])
    t.throws(() => toRegExp(pattern, ''), { code: 51091 }, `${pattern} is refused`)
})
