// ipx as its README serves it; originals over HTTP from the origin alone.
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxFSStorage, ipxHttpStorage } from "ipx";

const ipx = createIPX({
  storage: ipxFSStorage({ dir: "@{work}/originals" }),
  httpStorage: ipxHttpStorage({ domains: ["127.0.0.1"] }),
});
createServer(createIPXNodeServer(ipx)).listen(@{port}, "127.0.0.1");
