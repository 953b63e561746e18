/** Prints the JSON schema of sync configs. */
export async function runSchema(): Promise<void> {
  const { syncConfigSchema } = await import('@headwater/sync-config')
  console.log(JSON.stringify(syncConfigSchema(), null, 2))
}
