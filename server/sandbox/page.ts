import type { Controls } from './controls.js'
import { escapeHtml } from './html.js'

const table = (head: string[], rows: unknown[][]) =>
  rows.length === 0
    ? '<p>none yet</p>'
    : `<table><tr>${head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join('')}</tr>${rows
        .map((row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`)
        .join('')}</table>`

/** A plain page with the state of the sandbox: apps, sums, the newest messages, faults. */
export function statePage(controls: Controls): string {
  const summary = controls.summary()
  const newest = controls.ledger({ after: Math.max(0, summary.accepted + summary.duplicates - 20) }).rows.reverse()
  const pairs = (counts: Record<string, number>) => table(['', 'count'], Object.entries(counts))
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Hongyan sandbox</title>
<style>body{font:14px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}code{background:#f2f2f2;padding:0 .2rem}</style>
<h1>Hongyan sandbox</h1><p>A local WeChat. Its clock says ${escapeHtml(controls.clock().iso)}. Control it at <code>/sandbox/*</code>: <a href="/sandbox/openapi.json">openapi.json</a>. The phone page: <a href="/phone">/phone</a>.</p>
<h2>Apps</h2>${table(
    ['appid', 'kind', 'name', 'users', 'followers', 'callback', 'templates'],
    controls
      .apps()
      .map((app) => [
        app.appid,
        app.kind,
        app.name,
        app.users,
        app.followers,
        app.callback?.url ?? 'none',
        app.templates.map(({ templateId, title }) => `${title} ${templateId}`).join(' · ')
      ])
  )}
<h2>Third-party platforms</h2>${table(
    ['appid', 'name', 'events go to', 'messages go to', 'authorised by'],
    controls
      .platforms()
      .map((platform) => [
        platform.appid,
        platform.name,
        platform.eventUrl ?? 'none',
        platform.messageUrl ?? 'none',
        platform.authorizations.map(({ appid, sets }) => `${appid} (${sets.join(' ')})`).join(' · ')
      ])
  )}
<h2>Messages: ${summary.accepted} accepted, ${summary.duplicates} repeats absorbed</h2>${table(
    ['seq', 'at', 'channel', 'appid', 'openid', 'template', 'data'],
    newest.map((row) => [
      row.seq,
      new Date(row.at).toISOString(),
      row.channel,
      row.appid,
      row.openid,
      row.templateId,
      JSON.stringify(row.data)
    ])
  )}
<h2>Calls</h2>${pairs(summary.calls)}
<h2>Errors</h2>${pairs(summary.errors)}
<h2>Fault rules</h2>${table(
    ['id', 'rule', 'seen', 'fired'],
    controls.rules().map(({ id, seen, fired, ...rule }) => [id, JSON.stringify(rule), seen, fired])
  )}</html>`
}
