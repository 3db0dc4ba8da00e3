export * from './create-webhooks.ts'
export * from './notify.ts'
