import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Webhook } from 'standardwebhooks'
import { WebhookEvent } from '../../../shared/webhook.js'
import { AlertKind } from '../../../shared/alert.js'
import { DEFAULTS } from '../../../server/settings/merge.js'

type Receive = (
  secret: string,
  headers: Record<string, string>,
  body: string,
  now?: number
) => { id: string; type: string }

/** The folder of the package, from the sources as from the compiled tests. */
function root(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    try {
      if (JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8')).name === 'hongyan') return dir
    } catch {
      // further up
    }
  }
}

t.test('the page on alerts and webhooks', async (t) => {
  const page = readFileSync(join(root(), 'docs/alerts-and-webhooks.md'), 'utf8')

  t.test('has code that takes what is ours and nothing else', async (t) => {
    const code = /```js\n([^]+?)```/.exec(page)![1]!
    const { receive } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { receive: Receive }
    const secret = `whsec_${Buffer.alloc(24, 5).toString('base64')}`
    const other = `whsec_${Buffer.alloc(24, 6).toString('base64')}`
    const now = Date.parse('2026-03-02T04:00:00Z')
    const at = new Date(now)
    const body = '{"type":"message.failed","timestamp":"…","data":{}}'
    const sign = (by: string) => new Webhook(by).sign('m:5', at, body)
    const headers = {
      'webhook-id': 'm:5',
      'webhook-timestamp': String(now / 1_000),
      'webhook-signature': `${sign(other)} ${sign(secret)}`
    }
    t.match(receive(secret, headers, body, now), { id: 'm:5', type: 'message.failed' })
    t.match(receive(other, headers, body, now), { id: 'm:5' }, 'while secrets change')
    t.throws(() => receive(secret, headers, `${body} `, now), /not signed/)
    t.throws(() => receive(secret, { ...headers, 'webhook-id': 'm:6' }, body, now), /not signed/)
    t.throws(() => receive(secret, { ...headers, 'webhook-signature': sign(other) }, body, now), /not signed/)
    t.throws(() => receive(secret, { ...headers, 'webhook-signature': 'v1,' }, body, now), /not signed/)
    t.throws(() => receive(secret, headers, body, now + 301_000), /too old/)
    t.throws(() => receive(secret, {}, body, now), /too old/)
  })

  t.test('names every event, every alert and its defaults', async (t) => {
    for (const event of WebhookEvent.options) {
      t.ok(page.includes(`\`${event}\``) || page.includes(`\`.${event.split('.')[1]!}\``), event)
    }
    for (const kind of AlertKind.options) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${kind}\``)) ?? ''
      const { enabled: _enabled, ...figures } = DEFAULTS[kind] as Record<string, unknown>
      for (const [name, value] of Object.entries(figures))
        t.ok(row.includes(`\`${name}\` ${String(value)}`), `${kind} ${name}`)
    }
  })
})
