import { MiniProgramEnv, glassEasel } from 'glass-easel-miniprogram-adapter'
import { builtins, type Host } from './builtins.mjs'
import { program } from './program.mjs'

/** Where a launch leads: a page of the mini-program with its query. */
export interface Launch {
  path: string
  query: Record<string, string>
  scene: number
}

export interface Running {
  show(): void
  hide(): void
}

// the names a mini-program's files find, and glass-easel's values, which have no types
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Untyped = any

const scope = globalThis as Untyped

/**
 * Starts the mini-program in `into`. Its files see what a mini-program sees: `App`, `Page`, `Component`, `getApp` and
 * `wx`, which must be there already.
 */
export function runProgram(into: HTMLElement, host: Host, launch: Launch): Running {
  const env = new MiniProgramEnv()
  const space = env.createCodeSpace('', true)
  const backend = new glassEasel.CurrentWindowBackendContext()
  const screen = env.associateBackend(backend)
  backend.onEvent((target: unknown, type: string, detail: unknown, options: unknown) => {
    const event = new glassEasel.Event(type, detail, options)
    glassEasel.Event.dispatchEvent(target, event)
    return event.getEventBubbleStatus()
  })

  function register(id: string, json: object, template: unknown, run: () => void) {
    space.addComponentStaticConfig(id, json)
    space.addCompiledTemplate(id, { groupList: program.templates, content: template })
    space.globalComponentEnv(scope, id, run)
  }
  for (const [name, definition] of Object.entries(builtins(host))) {
    register(`builtin/${name}`, { component: true }, program.templates[`builtin/${name}`], () => {
      scope.Component(definition)
    })
  }

  let app: Untyped = {}
  scope.App = (definition: Untyped) => void (app = definition)
  scope.getApp = () => app
  program.runApp()
  for (const { id, json, scope: styleScope, run } of program.parts) {
    if (styleScope) space.addStyleSheet(id, undefined, styleScope)
    register(id, json, program.templates[id], run)
  }
  app.onLaunch?.(launch)
  app.onShow?.(launch)

  const root = screen.createRoot('wx-page', space, launch.path)
  const place = into.appendChild(document.createElement('span'))
  root.attach(into, place)
  const page = root.get()
  page.onLoad?.(launch.query)
  page.onShow?.()
  page.onReady?.()
  return {
    show() {
      app.onShow?.(launch)
      page.onShow?.()
    },
    hide() {
      page.onHide?.()
      app.onHide?.()
    }
  }
}
