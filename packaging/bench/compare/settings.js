// Settings of Node-RED for the comparison: no editor; the context "file" is written each
// second, the shortest that it offers beside a read and a write of the file each time.
module.exports = {
	uiHost: "127.0.0.1", uiPort: ${PORT}, userDir: "${DIR}", flowFile: "flow.json",
	httpAdminRoot: false, httpNodeRoot: false, telemetry: { enabled: false },
	mqttReconnectTime: 1000, logging: { console: { level: "info" } },
	contextStorage: {
		default: { module: "memory" },
		file: { module: "localfilesystem", config: { flushInterval: 1 } },
	},
};
