import { current } from '../../current.js'

/** Whether the server still wants formIds; it may say so long after the page was opened. */
const wanted = () => !current().settings().stop.form

/**
 * A form with its submit button around the host's content. Both must be ours: a submit button's event is not composed,
 * so a button slotted into another component's form never reaches it.
 */
Component({
  externalClasses: ['button-class'],
  options: { multipleSlots: true, addGlobalClass: true },
  properties: {
    /** Where in the app; travels along for reports. */
    place: { type: String, value: '' },
    /** Milliseconds WeChat may take to check the id; base library 2.6.2, older ones ignore it. */
    timeout: { type: Number, value: 500 },
    disabled: { type: Boolean, value: false },
    hoverClass: { type: String, value: 'button-hover' }
  },
  data: { collecting: true },
  lifetimes: {
    attached() {
      if (!wanted()) this.setData({ collecting: false })
    }
  },
  methods: {
    onSubmit(event: any) {
      current().captureSubmit(event, this.data.place)
      this.triggerEvent('submit', (event && event.detail) || {})
      if (this.data.collecting !== wanted()) this.setData({ collecting: wanted() })
    }
  }
})
