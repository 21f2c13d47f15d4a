import { init, use } from 'echarts/core'
import { BarChart } from 'echarts/charts'
import { GridComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { SVGRenderer } from 'echarts/renderers'
import type { Figure } from './figure.js'

use([BarChart, GridComponent, MarkLineComponent, TitleComponent, SVGRenderer])

const WIDTH = 960
const ROW = 26
const AROUND = 110
const MET = '#2e7d5b'
const MISSED = '#c2452d'
/** What a bar shows at the least, so that something is seen of what is far better than its goal. */
const LEAST = 0.01
const MOST = 100

/**
 * How much of its goal a figure takes up: 1 is the goal itself, less is better, whether it may not be more or not be less.
 * A goal of nothing at all is kept or missed. Pure.
 */
export function shareOf({ figure, goal, met }: Pick<Figure, 'figure' | 'goal' | 'met'>): number {
  const bound = Number(goal.slice(2))
  const share = goal.startsWith('≥') ? bound / figure : figure / bound
  if (!Number.isFinite(share)) return met ? LEAST : MOST
  return Math.min(MOST, Math.max(LEAST, share))
}

/** The figures as bars against their goals, on a logarithmic scale, in SVG. */
export function plotOf(figures: readonly Figure[], title: string): string {
  const shown = [...figures].reverse()
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: AROUND + ROW * shown.length })
  chart.setOption({
    animation: false,
    title: { text: title, subtext: 'share of the goal taken up: left of the line it is met', left: 10 },
    grid: { left: 210, right: 170, top: 70, bottom: 30 },
    xAxis: { type: 'log', min: LEAST, max: MOST },
    yAxis: { type: 'category', data: shown.map(({ section, id }) => `${section} ${id}`) },
    series: [
      {
        type: 'bar',
        data: shown.map((each) => ({ value: shareOf(each), itemStyle: { color: each.met ? MET : MISSED } })),
        label: {
          show: true,
          position: 'right',
          formatter: ({ dataIndex }: { dataIndex: number }) => `${shown[dataIndex]!.figure} (${shown[dataIndex]!.goal})`
        },
        markLine: {
          symbol: 'none',
          silent: true,
          label: { show: false },
          lineStyle: { color: '#555' },
          data: [{ xAxis: 1 }]
        }
      }
    ]
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
