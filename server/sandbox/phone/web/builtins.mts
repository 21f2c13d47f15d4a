/** What the stand-ins ask of the phone. */
export interface Host {
  /** What submitting a form gives, or the text a phone puts in its place. */
  formId(): Promise<string>
}

type Element = HTMLElement & { value?: string }
/** WeChat hides these two from mini-programs; the stand-ins are not in one. */
interface Own {
  data: {
    name?: string
    value?: string
    placeholder?: string
    type?: string
    maxlength?: number
    disabled?: boolean
    checked?: boolean
    formType?: string
    reportSubmit?: boolean
  }
  setData(data: Record<string, unknown>): void
  triggerEvent(name: string, detail?: unknown, options?: { bubbles?: boolean; composed?: boolean }): void
  _$: { getBackendElement(): Element; addListener(name: string, run: () => boolean | void): void }
}

const TAP = { bubbles: true, composed: true }

/** Space and Enter tap, so that the page works without a pointer. */
function reachable(self: Own, role: string): Element {
  const node = self._$.getBackendElement()
  node.setAttribute('role', role)
  node.tabIndex = 0
  node.addEventListener('keydown', (event) => {
    if (event.target !== node || (event.key !== 'Enter' && event.key !== ' ')) return
    event.preventDefault()
    self.triggerEvent('tap', {}, TAP)
  })
  return node
}

/**
 * Stand-ins for WeChat's own components, with the event behaviour of its framework: a submit button answers the tap by
 * an event that bubbles through its own component's tree only, and the nearest form takes it. A disabled button swallows
 * the tap.
 */
export function builtins(host: Host): Record<string, object> {
  return {
    view: {},
    text: {},
    form: {
      properties: { reportSubmit: Boolean, reportSubmitTimeout: Number },
      lifetimes: {
        created(this: Own) {
          this._$.addListener('formSubmit', () => {
            const detail = { value: valuesIn(this._$.getBackendElement()), target: {} }
            if (!this.data.reportSubmit) this.triggerEvent('submit', detail)
            else void host.formId().then((formId) => this.triggerEvent('submit', { ...detail, formId }))
            return false
          })
        }
      }
    },
    button: {
      properties: { formType: String, disabled: Boolean, hoverClass: String },
      observers: {
        disabled(this: Own, disabled: boolean) {
          this._$.getBackendElement()?.setAttribute('aria-disabled', String(disabled))
        }
      },
      lifetimes: {
        created(this: Own) {
          this._$.addListener('tap', () => {
            if (this.data.disabled) return false
            if (this.data.formType === 'submit') this.triggerEvent('formSubmit', undefined, { bubbles: true })
            return undefined
          })
        },
        attached(this: Own) {
          reachable(this, 'button').setAttribute('aria-disabled', String(this.data.disabled))
        }
      }
    },
    input: {
      properties: {
        name: String,
        value: String,
        placeholder: String,
        type: String,
        maxlength: Number,
        disabled: Boolean
      },
      observers: {
        value(this: Own, value: string) {
          const inner = this._$.getBackendElement()?.querySelector('input')
          if (inner) inner.value = value
        }
      },
      lifetimes: {
        attached(this: Own) {
          const { name = '', value = '', placeholder = '', type, maxlength, disabled = false } = this.data
          const inner = document.createElement('input')
          Object.assign(inner, { name, value, placeholder, disabled, maxLength: maxlength || 140 })
          inner.inputMode = type === 'number' ? 'numeric' : type === 'digit' ? 'decimal' : 'text'
          inner.setAttribute('aria-label', placeholder || name)
          inner.addEventListener('input', () => this.triggerEvent('input', { value: inner.value }))
          inner.addEventListener('change', () => this.triggerEvent('change', { value: inner.value }))
          inner.addEventListener('keydown', (event) => {
            if (event.key === 'Enter') this.triggerEvent('confirm', { value: inner.value })
          })
          this._$.getBackendElement().append(inner)
        }
      }
    },
    switch: {
      properties: { name: String, checked: Boolean, disabled: Boolean },
      observers: {
        'checked, disabled'(this: Own) {
          if (this._$.getBackendElement()) showSwitch(this)
        }
      },
      lifetimes: {
        created(this: Own) {
          this._$.addListener('tap', () => {
            if (this.data.disabled) return false
            const value = !this.data.checked
            this.setData({ checked: value })
            this.triggerEvent('change', { value })
            return undefined
          })
        },
        attached(this: Own) {
          reachable(this, 'switch')
          showSwitch(this)
        }
      }
    }
  }
}

function showSwitch({ _$, data }: Own): void {
  const node = _$.getBackendElement()
  node.setAttribute('aria-checked', String(data.checked))
  node.setAttribute('aria-disabled', String(data.disabled))
  if (data.name) node.setAttribute('data-name', data.name)
}

function valuesIn(form: Element): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const input of form.querySelectorAll<HTMLInputElement>('input[name]')) {
    if (input.name) values[input.name] = input.value
  }
  for (const node of form.querySelectorAll('[role=switch][data-name]')) {
    values[node.getAttribute('data-name')!] = node.getAttribute('aria-checked') === 'true'
  }
  return values
}
