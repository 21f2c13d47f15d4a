import t from 'tap'
import { parse } from 'yaml'
import { createMetrics } from '../../server/metrics/metrics.js'
import { fileOf } from '../support/root.js'

/** Names that stand in an expression: words before a brace, a bracket, an operator or the end, which are no functions. */
function namesIn(expr: string): string[] {
  const bare = expr
    .replace(/"[^"]*"/g, '""')
    .replace(/\b(by|on|group_left|group_right|without)\b\s*\([^)]*\)/g, ' ')
    .replace(/\{[^}]*\}/g, ' ')
  return [...bare.matchAll(/\b(?:hongyan|nodejs|process)_[a-z0-9_]+|\bup\b/g)].map(([name]) => name)
}

/** Labels a name is asked for by, in braces and behind `by`. */
function labelsIn(expr: string): string[] {
  const asked = [...expr.matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label!)
  const by = [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, labels]) =>
    labels!.split(',').map((each) => each.trim())
  )
  return [...asked, ...by]
}
/** What Prometheus itself puts on every series. */
const OF_THE_SCRAPE = ['instance', 'job', 'le']

t.test('every metric that dashboard and alerts name is there', async (t) => {
  const metrics = createMetrics()
  metrics.watchProcess()
  const text = await metrics.text()
  const declared = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]))
  const known = new Set(
    [...declared].flatMap(([name, type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name]
    )
  )
  known.add('up')
  const labels = new Set(OF_THE_SCRAPE)
  for (const metric of [...text.matchAll(/[{,]([a-z_]+)="/g)]) labels.add(metric[1]!)
  for (const each of Object.values(metrics)) {
    const names: unknown = (each as { labelNames?: unknown }).labelNames
    if (Array.isArray(names)) for (const name of names) labels.add(String(name))
  }

  const dashboard = JSON.parse(fileOf('deploy/grafana/hongyan.json'))
  const shown: string[] = dashboard.panels.flatMap((panel: any) => (panel.targets ?? []).map((each: any) => each.expr))
  const { groups } = parse(fileOf('deploy/prometheus/alerts.yml'))
  const rules: any[] = groups.flatMap((group: any) => group.rules)
  t.ok(shown.length >= 18)
  t.ok(rules.length >= 15)
  const used = new Set<string>()
  for (const expr of [...shown, ...rules.map(({ expr }) => expr as string)]) {
    const names = namesIn(expr)
    t.ok(names.length > 0, expr)
    for (const name of names) {
      t.ok(known.has(name), `${name} in ${expr}`)
      used.add(name.replace(/_(bucket|count|sum)$/, ''))
    }
    for (const label of labelsIn(expr)) t.ok(labels.has(label), `label ${label} in ${expr}`)
    t.equal(expr.split('(').length, expr.split(')').length, expr)
  }
  for (const name of declared.keys()) {
    if (name.startsWith('hongyan_')) t.ok(used.has(name), `${name} is looked at by somebody`)
  }

  for (const { alert, labels: tags, annotations } of rules) {
    t.match(alert, /^Hongyan[A-Z]/)
    t.match(tags.severity, /^(page|ticket)$/)
    t.ok(annotations.summary && annotations.action, alert)
  }
  t.same(parse(fileOf('deploy/prometheus/prometheus.yml')).rule_files, ['alerts.yml'])
})

t.test('names follow the convention', async (t) => {
  const text = await createMetrics().text()
  for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    t.match(name, /^hongyan_[a-z_]+$/)
    if (type === 'counter') t.match(name, /_total$/)
    else t.notMatch(name, /_total$/)
    if (type === 'histogram') t.match(name, /_seconds$/)
  }
  t.notMatch(text, /openid|recipient|person_id|message_id|campaign/i)
})
