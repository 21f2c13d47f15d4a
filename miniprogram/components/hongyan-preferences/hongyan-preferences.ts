import { current } from '../../current.js'

/** A switch: on means that messages may come. It shows what the server holds, never what it could not save. */
Component({
  externalClasses: ['row-class'],
  data: { optedOut: false, busy: true },
  lifetimes: {
    attached() {
      current()
        .preferences()
        .then((found) => this.setData({ busy: false, optedOut: found ? found.optedOut : false }))
    }
  },
  methods: {
    onChange(event: any) {
      const optedOut = !(event && event.detail && event.detail.value)
      this.setData({ optedOut, busy: true }) // the switch has moved: data must follow, or it could not be moved back
      current()
        .preferences({ optedOut })
        .then((kept) => {
          // a wish that did not arrive: the switch goes back to where it was
          const now = kept ? kept.optedOut : !optedOut
          this.setData({ optedOut: now, busy: false })
          this.triggerEvent(kept ? 'change' : 'fail', { optedOut: now })
        })
    }
  }
})
