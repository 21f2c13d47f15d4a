import type { FastifyInstance } from 'fastify'
import type { Callbacks } from '../callbacks/callbacks.js'
import type { Credentials } from '../credentials/credentials.js'
import type { HoldAnswer } from '../credentials/holds.js'
import type { Jobs } from '../platform/jobs.js'
import { AppError } from '../platform/errors.js'
import type { Senders } from '../senders/senders.js'
import type { WechatResult } from '../wechat/client.js'
import { errcodeRow } from '../wechat/errcodes.js'
import type { Metrics } from './metrics.js'

/*
 * Rooms as they are, with their verbs counted. What is measured stands here and nowhere in the rooms: they need not know,
 * and a process could do without. All of it is increments in memory; nothing is written or asked for.
 */

const seconds = (since: number) => (performance.now() - since) / 1000

/** Each send by channel and by what WeChat said. */
export function measureSenders(senders: Senders, metrics: Metrics): Senders {
  return {
    ...senders,
    async send(account, input, token) {
      const result = await senders.send(account, input, token)
      metrics.sendSeconds.observe({ channel: input.channel }, result.ms / 1000)
      metrics.sends.inc({ channel: input.channel, ...labelsOf(result) })
      return result
    }
  }
}

/** Outcome, what the code is about, and the code, of which our table has some two hundred; a stranger is `other`. Pure. */
export function labelsOf(result: WechatResult): { outcome: string; scope: string; errcode: string } {
  if (result.kind === 'notSent') return { outcome: 'not_sent', scope: '', errcode: '' }
  if (result.kind === 'refused') return { outcome: 'turned_away', scope: '', errcode: '' }
  if (result.kind === 'noAnswer') return { outcome: 'no_answer', scope: '', errcode: '' }
  if (result.errcode === 0) return { outcome: 'accepted', scope: '', errcode: '0' }
  const row = errcodeRow(result.errcode)
  return row === undefined
    ? { outcome: 'error', scope: 'unknown', errcode: 'other' }
    : { outcome: 'error', scope: row.scope, errcode: String(row.code) }
}

/** Rights handed in, and rights asked for. */
export function measureCredentials(credentials: Credentials, metrics: Metrics): Credentials {
  return {
    ...credentials,
    async keep(account, items) {
      const began = performance.now()
      const verdicts = await credentials.keep(account, items)
      metrics.storeSeconds.observe({ call: 'keep' }, seconds(began))
      verdicts.forEach(({ verdict, reason = '' }, index) =>
        metrics.captures.inc({ source: items[index]!.source, verdict, reason })
      )
      return verdicts
    },
    holds: {
      ...credentials.holds,
      async hold(wants) {
        if (wants.length === 0) return credentials.holds.hold(wants)
        const began = performance.now()
        const answers = await credentials.holds.hold(wants)
        metrics.storeSeconds.observe({ call: 'claim' }, seconds(began))
        for (const answer of answers.values()) metrics.claims.inc({ outcome: claimOf(answer) })
        return answers
      }
    }
  }
}

/** What a search for a right found. Pure. */
export function claimOf(answer: HoldAnswer): 'held' | 'none' | 'busy' | 'later' {
  if (typeof answer === 'string') return answer
  return 'credentialId' in answer ? 'held' : 'later'
}

/** Pushes, by what became of them. */
export function measureCallbacks(callbacks: Callbacks, metrics: Metrics): Callbacks {
  return {
    ...callbacks,
    async receive(...push) {
      try {
        const verdict = await callbacks.receive(...push)
        metrics.pushes.inc({ outcome: verdict })
        return verdict
      } catch (error) {
        metrics.pushes.inc({ outcome: error instanceof AppError ? 'refused' : 'error' })
        throw error
      }
    },
    async relay(...push) {
      const relayed = await callbacks.relay(...push)
      if (relayed.outcome !== 'none') metrics.relays.inc({ outcome: relayed.outcome })
      return relayed
    }
  }
}

/** Jobs by name: how long, and whether they threw. */
export function measureJobs(jobs: Jobs, metrics: Metrics): Jobs {
  metrics.onScrape(() => metrics.jobsRunning.set(jobs.running() ? 1 : 0))
  return {
    ...jobs,
    define(name, run, options) {
      const measured = async (job: Parameters<typeof run>[0]) => {
        const began = performance.now()
        let outcome = 'failed'
        try {
          await run(job)
          outcome = 'done'
        } finally {
          metrics.jobSeconds.observe({ job: name, outcome }, seconds(began))
        }
      }
      jobs.define(name, measured, options)
    }
  }
}

/** Requests by route as declared, so that no id becomes a label; what matches no route is one of its own. */
export function measureHttp(app: FastifyInstance, metrics: Metrics): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none'
    if (route === STREAM) return // lasts as long as somebody watches
    const labels = { method: request.method, route, status: `${Math.floor(reply.statusCode / 100)}xx` }
    metrics.httpSeconds.observe(labels, reply.elapsedTime / 1000)
  })
}
const STREAM = '/v1/stream'
