/**
 * Whose write checkpoints these are: `user id`, or `user id/client id` for clients that name themselves. Stream and
 * request for a write checkpoint must come to the same key.
 */
export function writeCheckpointKey(userId: string, clientId: string | undefined): string {
  return clientId === undefined ? userId : `${userId}/${clientId}`
}
