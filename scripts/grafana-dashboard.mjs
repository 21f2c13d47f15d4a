// Writes deploy/grafana/hongyan.json: one row of panels per question, the questions below. `node scripts/grafana-dashboard.mjs`
import { writeFileSync } from 'node:fs'
import { format } from 'prettier'

const ROWS = [
  [
    'Is it well?',
    [
      ['Processes ready', 'stat', 'short', [['min by (instance) (hongyan_check_ok)', '{{instance}}']]],
      ['Accounts that may send', 'stat', 'short', [['max by (account) (hongyan_account_up)', '{{account}}']]],
      [
        'Event loop, p99',
        'timeseries',
        's',
        [['max by (instance) (nodejs_eventloop_lag_p99_seconds)', '{{instance}}']]
      ],
      ['Memory', 'timeseries', 'bytes', [['process_resident_memory_bytes{job="hongyan"}', '{{instance}}']]]
    ]
  ],
  [
    'Does it send?',
    [
      [
        'Sends a second, by outcome',
        'timeseries',
        'reqps',
        [['sum by (channel, outcome) (rate(hongyan_sends_total[1m]))', '{{channel}} {{outcome}}']]
      ],
      [
        'Errors a second, by code',
        'timeseries',
        'reqps',
        [['sum by (errcode, scope) (rate(hongyan_sends_total{outcome="error"}[5m]))', '{{errcode}} {{scope}}']]
      ],
      [
        'How long WeChat takes',
        'timeseries',
        's',
        [
          [
            'histogram_quantile(0.5, sum by (le, channel) (rate(hongyan_send_duration_seconds_bucket[5m])))',
            'p50 {{channel}}'
          ],
          [
            'histogram_quantile(0.95, sum by (le, channel) (rate(hongyan_send_duration_seconds_bucket[5m])))',
            'p95 {{channel}}'
          ]
        ]
      ],
      ['In flight', 'timeseries', 'short', [['hongyan_sends_in_flight', '{{instance}}']]]
    ]
  ],
  [
    'What waits, and what may still be sent?',
    [
      ['Messages not through', 'timeseries', 'short', [['max by (account) (hongyan_messages_open)', '{{account}}']]],
      [
        'Left of the day',
        'timeseries',
        'percentunit',
        [['max by (account, interface) (hongyan_budget_left / hongyan_budget_limit)', '{{account}} {{interface}}']]
      ],
      [
        'Rights asked for',
        'timeseries',
        'reqps',
        [['sum by (outcome) (rate(hongyan_claims_total[5m]))', '{{outcome}}']]
      ],
      [
        'Rights handed in',
        'timeseries',
        'reqps',
        [
          [
            'sum by (source, verdict, reason) (rate(hongyan_capture_items_total[5m]))',
            '{{source}} {{verdict}} {{reason}}'
          ]
        ]
      ]
    ]
  ],
  [
    'Who asks, and how quickly is it answered?',
    [
      [
        'Requests a second',
        'timeseries',
        'reqps',
        [['sum by (route, status) (rate(hongyan_http_request_duration_seconds_count[1m]))', '{{route}} {{status}}']]
      ],
      [
        'Requests, p99',
        'timeseries',
        's',
        [
          [
            'histogram_quantile(0.99, sum by (le, route) (rate(hongyan_http_request_duration_seconds_bucket[5m])))',
            '{{route}}'
          ]
        ]
      ],
      [
        'Store, p95',
        'timeseries',
        's',
        [
          [
            'histogram_quantile(0.95, sum by (le, call) (rate(hongyan_store_call_duration_seconds_bucket[5m])))',
            '{{call}}'
          ]
        ]
      ],
      [
        'Pushes of WeChat',
        'timeseries',
        'reqps',
        [
          ['sum by (outcome) (rate(hongyan_callback_pushes_total[5m]))', '{{outcome}}'],
          ['sum by (outcome) (rate(hongyan_callback_relays_total[5m]))', 'passed on: {{outcome}}']
        ]
      ]
    ]
  ],
  [
    'What runs in the background?',
    [
      [
        'Jobs a second',
        'timeseries',
        'reqps',
        [['sum by (job, outcome) (rate(hongyan_job_duration_seconds_count[5m]))', '{{job}} {{outcome}}']]
      ],
      [
        'Jobs, p95',
        'timeseries',
        's',
        [['histogram_quantile(0.95, sum by (le, job) (rate(hongyan_job_duration_seconds_bucket[15m])))', '{{job}}']]
      ],
      ['Workers', 'stat', 'short', [['sum(hongyan_jobs_running)', 'workers']]],
      ['Versions', 'stat', 'short', [['count by (version) (hongyan_build_info)', '{{version}}']]]
    ]
  ]
]

const source = { type: 'prometheus', uid: '${source}' }
const panels = ROWS.flatMap(([title, row], y) => [
  { type: 'row', title, id: 100 * (y + 1), collapsed: false, panels: [], gridPos: { x: 0, y: 9 * y, w: 24, h: 1 } },
  ...row.map(([name, type, unit, targets], x) => ({
    type,
    title: name,
    id: 100 * (y + 1) + x + 1,
    datasource: source,
    gridPos: { x: 6 * x, y: 9 * y + 1, w: 6, h: 8 },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options:
      type === 'stat'
        ? { reduceOptions: { calcs: ['lastNotNull'] } }
        : { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: targets.map(([expr, legendFormat], n) => ({ refId: 'ABCD'[n], datasource: source, expr, legendFormat }))
  }))
])
const dashboard = {
  uid: 'hongyan',
  title: 'Hongyan 鸿雁',
  tags: ['hongyan'],
  schemaVersion: 39,
  editable: true,
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  templating: { list: [{ name: 'source', label: 'Prometheus', type: 'datasource', query: 'prometheus' }] },
  panels
}
const to = new URL('../deploy/grafana/hongyan.json', import.meta.url)
writeFileSync(to, await format(JSON.stringify(dashboard), { parser: 'json', printWidth: 120 }))
