import type { CaptureNs } from '../time.ts';
import type { SessionMeta } from './events.ts';
import type { Endpoints, Flow } from './flow.ts';

/** What is told of the session of `flow`, whose first packet came `at`. */
export function newSession(flow: Flow, endpoints: Endpoints, at: CaptureNs): SessionMeta {
  return {
    id: flow.id,
    ...endpoints,
    at,
    connectionId: 0,
    capabilities: 0,
    extendedCapabilities: 0,
    get coverage() {
      return flow.coverage;
    },
  };
}
