const { install } = require('hongyan-miniprogram')
const { server } = require('./config.js')

App({
  onLaunch() {
    install({ server })
  }
})
