import { createApp } from 'vue'
import 'tdesign-vue-next/es/style/css.mjs'
import './look/base.css'
import './look/theme.js'
import App from './app.vue'
import { router } from './router.js'

createApp(App).use(router).mount('#app')
