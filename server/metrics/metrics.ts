import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { VERSION } from '../version.js'

/** Of a call to WeChat, which has ten seconds at most. */
const SEND_SECONDS = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 4, 8, 10]
/** Of what should take milliseconds, and says when it does not. */
const STORE_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const JOB_SECONDS = [0.01, 0.05, 0.25, 1, 5, 15, 60, 300]

/**
 * What this process counts, in the words of Prometheus. Every label has a fixed set of values: channels, outcomes, codes of
 * our own table, routes as they are declared, jobs by name, and accounts, of which an operator connects each by hand (200
 * are told apart, see gauges.ts). No person, message, campaign or address is a label.
 */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <Label extends string>(name: string, help: string, labelNames: Label[], buckets: number[]) =>
    new Histogram({ name, help, labelNames, buckets, registers })

  gauge('hongyan_build_info', 'Always 1; the version is a label', ['version', 'node']).set(
    { version: VERSION, node: process.versions.node },
    1
  )
  /** Asked for what moves by itself, before each scrape. */
  const collectors: (() => void | Promise<void>)[] = []

  return {
    sends: counter(
      'hongyan_sends_total',
      'Calls to WeChat that send a message, by what came of them; scope says what an error code is about',
      ['channel', 'outcome', 'scope', 'errcode']
    ),
    sendSeconds: histogram(
      'hongyan_send_duration_seconds',
      'How long WeChat took to answer a send',
      ['channel'],
      SEND_SECONDS
    ),
    inFlight: gauge('hongyan_sends_in_flight', 'Sends of this process WeChat has not answered yet', []),
    claims: counter('hongyan_claims_total', 'Rights to send asked for by messages, by what was found', ['outcome']),
    captures: counter(
      'hongyan_capture_items_total',
      'Rights handed in by phones and backends, by verdict; reason says why one was refused',
      ['source', 'verdict', 'reason']
    ),
    pushes: counter('hongyan_callback_pushes_total', 'What WeChat pushed, by what became of it', ['outcome']),
    relays: counter('hongyan_callback_relays_total', 'Pushes passed on to another system, by what became of them', [
      'outcome'
    ]),
    storeSeconds: histogram(
      'hongyan_store_call_duration_seconds',
      'How long the store took for the calls everything waits for',
      ['call'],
      STORE_SECONDS
    ),
    httpSeconds: histogram(
      'hongyan_http_request_duration_seconds',
      'Requests answered, by route as declared and class of status',
      ['method', 'route', 'status'],
      HTTP_SECONDS
    ),
    jobSeconds: histogram(
      'hongyan_job_duration_seconds',
      'Jobs that ran, by name and outcome',
      ['job', 'outcome'],
      JOB_SECONDS
    ),
    jobsRunning: gauge('hongyan_jobs_running', '1 while this process takes jobs up, 0 where it does not', []),
    checks: gauge('hongyan_check_ok', 'What /readyz looks at: 1 is well, 0 is not', ['check']),
    open: gauge('hongyan_messages_open', 'Messages of an account that are not through; every process tells the same', [
      'account'
    ]),
    budgetLeft: gauge(
      'hongyan_budget_left',
      'What an interface may still send today (Asia/Shanghai); every process tells the same',
      ['account', 'interface']
    ),
    budgetLimit: gauge('hongyan_budget_limit', 'What an interface may send a day', ['account', 'interface']),
    accountUp: gauge('hongyan_account_up', '1 while the account may send, 0 while it is disabled, paused or punished', [
      'account'
    ]),

    /** Has something asked for before each scrape. It should be quick, and must not throw. */
    onScrape(collect: () => void | Promise<void>): void {
      collectors.push(collect)
    },

    /** Memory, processor, event loop and garbage collection of this process; once a process. */
    watchProcess(): void {
      collectDefaultMetrics({ register: registry })
    },

    contentType: registry.contentType,

    /** Everything as text. */
    async text(): Promise<string> {
      await Promise.all(collectors.map((collect) => collect()))
      return registry.metrics()
    }
  }
}
export type Metrics = ReturnType<typeof createMetrics>
