import { current } from '../../current.js'

/** A switch: on means that messages may come. It shows what the server holds, never what it could not save. */
Component({
  externalClasses: ['row-class'],
  options: { addGlobalClass: true },
  // busy: a wish is on its way, or nothing is known yet. The switch is not to be moved then
  data: { optedOut: false, busy: true },
  lifetimes: {
    attached() {
      this.ask()
    }
  },
  pageLifetimes: {
    show() {
      this.ask()
    }
  },
  methods: {
    /** Asks the server until it has answered once; a switch that shows a guess would lie. */
    ask() {
      const self = this as any
      if (self.asking || !this.data.busy) return
      self.asking = true
      current()
        .preferences()
        .then((found) => {
          self.asking = false
          if (found) this.setData({ optedOut: found.optedOut, busy: false })
          else this.triggerEvent('fail', {})
        })
    },
    onChange(event: any) {
      const self = this as any
      const optedOut = !(event && event.detail && event.detail.value)
      self.asking = true
      this.setData({ optedOut, busy: true }) // the switch has moved: data must follow, or it could not be moved back
      current()
        .preferences({ optedOut })
        .then((kept) => {
          // a wish that did not arrive: the switch goes back to where it was
          const now = kept ? kept.optedOut : !optedOut
          self.asking = false
          this.setData({ optedOut: now, busy: false })
          this.triggerEvent(kept ? 'change' : 'fail', { optedOut: now })
        })
    }
  }
})
