/* eslint-disable @typescript-eslint/no-explicit-any */
declare module 'glass-easel-miniprogram-adapter' {
  // the package names types it does not ship; what is used of it is little, and only in run.mts
  export const MiniProgramEnv: any
  export const glassEasel: any
}
