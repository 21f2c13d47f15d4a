import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(import.meta.url)
// The adapter names types that it does not ship, so everything of it is `any` here
const { MiniProgramEnv, glassEasel } = require('glass-easel-miniprogram-adapter')
const { TmplGroup } = require('glass-easel-template-compiler')

/** What the form stand-in hands out next; tests replace it. Undefined: a phone that gives no ids. */
export const platform: { formId: () => unknown; formValue: () => Record<string, unknown> } = {
  formId: () => 'id-of-a-form',
  formValue: () => ({})
}

/**
 * Stand-ins for WeChat's own components, with the event behaviour of its framework (read from open copies of it): a
 * submit button answers the tap by an event that bubbles through its own component's tree only, and the nearest form
 * takes it. A disabled button swallows the tap.
 */
const BUILTINS: Record<string, any> = {
  view: {},
  text: {},
  input: { properties: { name: String, placeholder: String } },
  switch: { properties: { checked: Boolean, disabled: Boolean } },
  form: {
    properties: { reportSubmit: Boolean, reportSubmitTimeout: Number },
    lifetimes: {
      created(this: any) {
        this._$.addListener('formSubmit', () => {
          const detail = { value: platform.formValue(), target: {} }
          this.triggerEvent('submit', this.data.reportSubmit ? { ...detail, formId: platform.formId() } : detail)
          return false
        })
      }
    }
  },
  button: {
    properties: { formType: String, disabled: Boolean, hoverClass: String },
    lifetimes: {
      created(this: any) {
        this._$.addListener('tap', () => {
          if (this.data.disabled) return false
          if (this.data.formType === 'submit') this.triggerEvent('formSubmit', undefined, { bubbles: true })
          return undefined
        })
      }
    }
  }
}

export type Inline = Record<string, { wxml: string; json?: Record<string, unknown>; def: any; page?: boolean }>

/**
 * Loads the built components under `root`, and the pages and components given in `inline`, into a mini-program without a
 * screen. The answer opens one of them: `open('pages/x?place=home', ['submit'])`.
 */
export function loadMini(root: string, inline: Inline = {}) {
  const program = new MiniProgramEnv()
  const space = program.createCodeSpace('', true)
  const templates = new TmplGroup()
  const addTemplate = (id: string, wxml: string) => {
    for (const warning of templates.addTmpl(id, wxml) ?? []) throw new Error(`${id}: ${warning.message}`)
  }
  const usingComponents: Record<string, string> = {}
  for (const name of Object.keys(BUILTINS)) {
    usingComponents[name] = `/builtin/${name}`
    addTemplate(`builtin/${name}`, '<slot/>')
  }
  const ids = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.wxml'))
    .map((file) => file.slice(0, -'.wxml'.length).split(path.sep).join('/'))
  for (const id of ids) addTemplate(id, readFileSync(path.join(root, `${id}.wxml`), 'utf8'))
  for (const id of Object.keys(inline)) addTemplate(id, inline[id]!.wxml)
  const compiled = new Function(`return ${templates.getTmplGenObjectGroups()}`)()
  templates.free()

  function register(id: string, json: any, run: (scope: any) => void) {
    const config = { ...json, usingComponents: { ...usingComponents, ...json.usingComponents } }
    space.addComponentStaticConfig(id, config)
    space.addCompiledTemplate(id, { groupList: compiled, content: compiled[id] })
    space.globalComponentEnv(globalThis, id, () => run(globalThis))
  }
  for (const [name, def] of Object.entries(BUILTINS)) {
    register(`builtin/${name}`, { component: true }, (scope) => scope.Component(def))
  }
  for (const id of ids) {
    register(id, JSON.parse(readFileSync(path.join(root, `${id}.json`), 'utf8')), () => {
      const file = path.join(root, `${id}.js`)
      delete require.cache[file] // Component() must run again; what the file requires keeps its state
      require(file)
    })
  }
  for (const [id, { json, page, def }] of Object.entries(inline)) {
    register(id, json ?? { component: !page }, (scope) => (page ? scope.Page(def) : scope.Component(def)))
  }

  const backend = program.associateBackend(new glassEasel.EmptyBackendContext())
  return function open(url: string, watch: string[] = []) {
    const tree = backend.createRoot('root', space, url)
    const element = tree.getComponent()
    const events: { name: string; detail: any }[] = []
    for (const name of watch) {
      element.addListener(name, (event: any) => void events.push({ name, detail: event.detail }))
    }
    glassEasel.Element.pretendAttached(element)
    /** `.a >>> .b`: .b inside the component .a; classes and ids only. */
    const find = (selector: string) =>
      selector.split('>>>').reduce((at: any, part) => at.getShadowRoot().querySelector(part.trim()), element)
    return {
      instance: tree.get(),
      element,
      events,
      find,
      tap: (selector: string) => find(selector).triggerEvent('tap', {}, { bubbles: true, composed: true }),
      close: () => tree.release()
    }
  }
}
