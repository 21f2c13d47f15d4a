import { current } from '../../current.js'
import type { SubscribeOutcome } from '../../types.js'

/** A button that asks for subscriptions in its own tap, where phones demand it. */
Component({
  externalClasses: ['button-class'],
  options: { addGlobalClass: true },
  properties: {
    /** Templates to ask for. Empty: those the server names for `scene`. */
    templateIds: { type: Array, value: [] as string[] },
    scene: { type: String, value: '' },
    place: { type: String, value: '' },
    disabled: { type: Boolean, value: false },
    hoverClass: { type: String, value: 'button-hover' }
  },
  methods: {
    onTap() {
      const { templateIds, scene, place } = this.data
      const kit = current()
      const ids = templateIds.length ? templateIds : kit.templatesFor(scene)
      kit
        .requestSubscribe(ids, place || scene)
        .then((outcome: SubscribeOutcome) => this.triggerEvent('result', outcome))
    }
  }
})
