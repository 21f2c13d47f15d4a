import { install } from 'hongyan-miniprogram'
import { server } from './config'

App({
  onLaunch() {
    install({ server })
  }
})
