import t from 'tap'
import { doomOf, rulesOf } from '../../../demo/chaos/faults.js'
import { totalsOf } from '../../../demo/chaos/report.js'
import type { Outcome } from '../../../demo/chaos/run.js'

const SUBSCRIBE = '/cgi-bin/message/subscribe/send'
const sends = (rules: ReturnType<typeof rulesOf>) => rules.filter(({ rule }) => rule.path.includes('/message/'))
/** Of the calls to a path, the share that meets a fault: rules are tried in order, the first that strikes wins. */
const shareOf = (rules: ReturnType<typeof rulesOf>, path: string) =>
  1 - rules.filter(({ rule }) => rule.path === path).reduce((calm, { rule }) => calm * (1 - rule.probability!), 1)

t.test('faults', async (t) => {
  for (const [profile, share] of [
    ['chaos', 0.01],
    ['transient', 0.008]
  ] as const) {
    const rules = rulesOf(profile, share)
    for (const path of new Set(sends(rules).map(({ rule }) => rule.path)))
      t.ok(Math.abs(shareOf(rules, path) - share) < share / 100, `${profile}: ${share} of ${path}`)
    t.equal(new Set(sends(rules).map(({ rule }) => rule.path)).size, 3, `${profile}: all three ways to send`)
  }
  t.same(rulesOf('none', 0.5), [])

  const silent = (rules: ReturnType<typeof rulesOf>) =>
    rules.filter(({ rule }) => rule.path === SUBSCRIBE && !('errcode' in rule.action)).length
  t.equal(silent(rulesOf('transient', 0.008)), 0, 'what is transient to a grant leaves no doubt')
  t.ok(silent(rulesOf('chaos', 0.01)) > 0)

  t.same(doomOf(['o1'], 'service', 43004), [
    { name: 'o1', rule: { path: '/cgi-bin/message/template/send', openid: 'o1', action: { errcode: 43004 } } }
  ])
})

t.test('sums over seeds', async (t) => {
  const outcome: Outcome = {
    seed: 1,
    seconds: 70.4,
    kills: { api: 5, worker: 20, store: 4, failedStarts: 1 },
    faults: { 'errcode -1': 7, 'reset after': 3 },
    refusedForGood: 3,
    refusedMessages: 3,
    crashes: [],
    askedAgain: {},
    takenInChaos: 90,
    quietAfterMs: 1000,
    worstSecond: 200,
    lost: 0,
    double: 1,
    stuck: 0,
    disagreements: 0,
    unexplained: 0,
    permanentRetries: 0,
    messages: 100,
    byState: { accepted: 98, unknown: 2 },
    unknown: {},
    success: 0.98,
    findings: []
  }
  const { double, unknown, kills, storeKills, faults, success, messages } = totalsOf([
    outcome,
    { ...outcome, seed: 2, success: 0.97 }
  ])
  t.same(
    { double, unknown, kills, storeKills, faults, success, messages },
    {
      double: 2,
      unknown: 4,
      kills: 50,
      storeKills: 8,
      faults: 20,
      success: 0.97,
      messages: 200
    }
  )
})
