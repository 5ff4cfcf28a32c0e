/** A server that answers: started here, or somebody else's that is used as it is. */
export interface RunningServer<Addresses> {
  addresses: Addresses;
  /** Stops what was started here; does nothing to somebody else's server. */
  stop(): Promise<void>;
}

/** Where a server of the stack puts its things, and on which ports. */
export interface ServerPlace {
  /** Exists already. */
  directory: string;
  /** Kept after the stop, so worth writing safely. */
  isKept: boolean;
  /** Take the port people expect when it is free. */
  prefersUsualPorts: boolean;
}
