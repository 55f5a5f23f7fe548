{{/* Names, labels, the agent's configuration, and what the agent and the smoke check share. */}}

{{- define "acr-verifier.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimAll "-." -}}
{{- end -}}

{{/* 50 characters: Jobs and labels allow 63, and suffixes are appended. */}}
{{- define "acr-verifier.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimAll "-." -}}
{{- else if contains (include "acr-verifier.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimAll "-." -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "acr-verifier.name" .) | trunc 50 | trimAll "-." -}}
{{- end -}}
{{- end -}}

{{/* Objects outside the release's namespace have it in their name, so that two releases do not collide. */}}
{{- define "acr-verifier.outerName" -}}
{{- printf "%s-%s" .Release.Namespace (include "acr-verifier.fullname" .) -}}
{{- end -}}

{{- define "acr-verifier.selectorLabels" -}}
app.kubernetes.io/name: {{ include "acr-verifier.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of an object, except the component, which the caller adds. */}}
{{- define "acr-verifier.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-_." | quote }}
{{ include "acr-verifier.podLabels" . }}
{{- end -}}

{{/* Labels of a pod, without the chart's version: a new version of the chart must not by itself replace a pod. */}}
{{- define "acr-verifier.podLabels" -}}
{{ include "acr-verifier.selectorLabels" . }}
app.kubernetes.io/version: {{ include "acr-verifier.tag" . | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: acr-verifier
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The annotations of an object: `own`, and `commonAnnotations` of `root`. Empty if there are none. */}}
{{- define "acr-verifier.annotations" -}}
{{- $own := default dict .own -}}
{{- with merge (deepCopy $own) (default dict .root.Values.commonAnnotations) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "acr-verifier.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "acr-verifier.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "acr-verifier.tag" -}}
{{- .Values.image.tag | default .Chart.AppVersion -}}
{{- end -}}

{{- define "acr-verifier.image" -}}
{{- printf "%s/%s:%s" .Values.image.registry .Values.image.repository (include "acr-verifier.tag" .) -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* "true" if Events are published, which is also the agent's default. */}}
{{- define "acr-verifier.events" -}}
{{- ne (toString (.Values.config.events).enabled) "false" -}}
{{- end -}}

{{/* On the host network the node's own addresses and loopback; on the pod network every address of the pod. */}}
{{- define "acr-verifier.serverAddress" -}}
{{- (.Values.config.server).address | default (printf "%s:%d" (.Values.hostNetwork | ternary "node" "0.0.0.0") (int .Values.port)) -}}
{{- end -}}

{{- define "acr-verifier.checksOnDemand" -}}
{{- (.Values.config.server).checksOnDemand | default "open" -}}
{{- end -}}

{{/* The key of checks on demand, for agents and smoke check: the folder, its volume and its mount. */}}
{{- define "acr-verifier.keyFolder" -}}
/var/run/secrets/acr-verifier-check-key
{{- end -}}

{{- define "acr-verifier.keyVolume" -}}
- name: check-key
  secret:
    secretName: {{ .Values.config.server.keySecret.name | quote }}
    items: [{key: {{ .Values.config.server.keySecret.key | default "key" | quote }}, path: key}]
    defaultMode: 0440
    # Without the Secret, the agents check on schedule, and no client can trigger a check.
    optional: true
{{- end -}}

{{- define "acr-verifier.keyMount" -}}
- name: check-key
  mountPath: {{ include "acr-verifier.keyFolder" . | quote }}
  readOnly: true
{{- end -}}

{{/* Mount path of a Secret with credentials. */}}
{{- define "acr-verifier.credentialsPath" -}}
{{- printf "/var/run/secrets/acr-verifier/%s" . -}}
{{- end -}}

{{/* The Secrets named by images, without duplicates, as a JSON list. */}}
{{- define "acr-verifier.secretNames" -}}
{{- $names := list -}}
{{- range .Values.config.images -}}
{{- with (.credentials).secretName -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* "true" if an image pulls with the identity `kind`, such as managedIdentity. It may be an empty map. */}}
{{- define "acr-verifier.usesIdentity" -}}
{{- $kind := .kind -}}
{{- $found := false -}}
{{- range .root.Values.config.images -}}
{{- if hasKey (.credentials | default dict) $kind }}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* Additional labels of the agents' pods. The webhook of workload identity only changes pods with its label. */}}
{{- define "acr-verifier.agentLabels" -}}
{{- $labels := deepCopy (default dict .Values.podLabels) -}}
{{- if eq (include "acr-verifier.usesIdentity" (dict "root" . "kind" "workloadIdentity")) "true" -}}
{{- $_ := set $labels "azure.workload.identity/use" "true" -}}
{{- end -}}
{{- if $labels }}{{ toYaml $labels }}{{ end -}}
{{- end -}}

{{/*
Settings that take effect after a restart. The webhook of workload identity reads the service account's annotations when a
pod is created.
*/}}
{{- define "acr-verifier.startSettings" -}}
{{- printf "%s %s" (include "acr-verifier.serverAddress" .) (include "acr-verifier.events" .) -}}
{{- if eq (include "acr-verifier.usesIdentity" (dict "root" . "kind" "workloadIdentity")) "true" -}}
{{- range $key, $value := .Values.serviceAccount.annotations -}}
{{- if hasPrefix "azure.workload.identity/" $key }} {{ $key }}={{ $value }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The volume name for a Secret, whose own name may be too long for a volume. */}}
{{- define "acr-verifier.secretVolume" -}}
{{- printf "credentials-%s" (sha256sum . | trunc 10) -}}
{{- end -}}

{{/* The agent's configuration file: the values' own keys, with paths instead of the names of Secrets and the ConfigMap. */}}
{{- define "acr-verifier.config" -}}
{{- $config := dict -}}
{{- $images := list -}}
{{- range .Values.config.images -}}
  {{- $image := omit . "credentials" -}}
  {{- with .credentials -}}
    {{- $credentials := omit . "secretName" -}}
    {{- with .secretName -}}
      {{- $_ := set $credentials "path" (include "acr-verifier.credentialsPath" .) -}}
    {{- end -}}
    {{- $_ := set $image "credentials" $credentials -}}
  {{- end -}}
  {{- $images = append $images $image -}}
{{- end -}}
{{- $_ := set $config "images" $images -}}
{{- with .Values.config.resolvers }}{{- $_ := set $config "resolvers" . -}}{{- end -}}
{{- with .Values.config.schedule }}{{- $_ := set $config "schedule" . -}}{{- end -}}
{{- with .Values.config.metrics }}{{- $_ := set $config "metrics" . -}}{{- end -}}
{{- with .Values.config.tls -}}
  {{- $file := .caFile -}}
  {{- if .caConfigMap }}{{- $file = "/etc/acr-verifier/ca.pem" -}}{{- end -}}
  {{- $_ := set $config "tls" (dict "caFile" $file) -}}
{{- end -}}
{{- if eq (include "acr-verifier.nodeFiles" .) "true" }}{{- $_ := set $config "nodeFiles" (dict "root" "/host") -}}{{- end -}}
{{- $server := dict "address" (include "acr-verifier.serverAddress" .) -}}
{{- with (.Values.config.server).checksOnDemand }}{{- $_ := set $server "checksOnDemand" . -}}{{- end -}}
{{- if (.Values.config.server).keySecret }}{{- $_ := set $server "keyFile" (printf "%s/key" (include "acr-verifier.keyFolder" .)) -}}{{- end -}}
{{- $_ := set $config "server" $server -}}
{{- $_ := set $config "events" (dict "enabled" (eq (include "acr-verifier.events" .) "true")) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The digest that the agent computes of its file: that of the ConfigMap's text, which ends with one line break. */}}
{{- define "acr-verifier.configDigest" -}}
{{- printf "sha256:%s" (printf "%s\n" (include "acr-verifier.config" .) | sha256sum) -}}
{{- end -}}

{{/*
Passes Pod Security `restricted`. The user ID is above those that systems assign to people and services. Values add to these
settings; `acr-verifier.validateContexts` rejects those that weaken them.
*/}}
{{- define "acr-verifier.podSecurityContext" -}}
{{- $own := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- mergeOverwrite $own (deepCopy (default dict .Values.podSecurityContext)) | toYaml -}}
{{- end -}}

{{- define "acr-verifier.securityContext" -}}
{{- $own := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "capabilities" (dict "drop" (list "ALL")) -}}
{{- mergeOverwrite $own (deepCopy (default dict .Values.securityContext)) | toYaml -}}
{{- end -}}

{{/*
The service account's token, where client libraries expect it. Never by automounting, which would also apply to pods that
do not use the API server, and which some clusters forbid or undo.
*/}}
{{- define "acr-verifier.tokenVolume" -}}
- name: api-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
{{- end -}}

{{- define "acr-verifier.tokenMount" -}}
- name: api-token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}

{{/* The chart's own variables of the agents; `extraEnv` cannot replace them. */}}
{{- define "acr-verifier.variables" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
# Kubernetes sets this label of the Pod from 1.35 on; without it the zone is unknown.
- name: NODE_ZONE
  valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}
# The addresses that server.address node:PORT means.
- name: NODE_IPS
  valueFrom: {fieldRef: {fieldPath: status.hostIPs}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_UID
  valueFrom: {fieldRef: {fieldPath: metadata.uid}}
- name: NETWORK_VIEW
  value: {{ .Values.hostNetwork | ternary "node" "pod" | quote }}
{{- end -}}

{{/* "true" if an object of a monitoring API is created: its value is true, or auto and the cluster has the API. */}}
{{- define "acr-verifier.isWanted" -}}
{{- $has := .root.Capabilities.APIVersions.Has .api -}}
{{- or (eq (toString .value) "true") (and (eq (toString .value) "auto") $has) -}}
{{- end -}}

{{/* "true" if the node's own files are mounted. */}}
{{- define "acr-verifier.nodeFiles" -}}
{{- ternary .Values.hostNetwork (eq (toString .Values.nodeFiles.enabled) "true") (eq (toString .Values.nodeFiles.enabled) "auto") -}}
{{- end -}}

{{/*
The volume name for a path on the node. It ends in a hash if it does not have every character of the path, so that no two paths
share a name.
*/}}
{{- define "acr-verifier.nodeVolume" -}}
{{- if and (regexMatch "^(/[a-z0-9]+)+$" .) (le (len .) 59) -}}
{{- printf "node%s" (replace "/" "-" .) -}}
{{- else -}}
{{- printf "node%s" (regexReplaceAll "[^a-z0-9]+" (lower .) "-") | trunc 54 | trimSuffix "-" }}-{{ sha256sum . | trunc 8 -}}
{{- end -}}
{{- end -}}

{{/* Names of the chart's own volumes, as a JSON list. */}}
{{- define "acr-verifier.volumeNames" -}}
{{- $names := list "config" "api-token" "check-key" -}}
{{- range fromJsonArray (include "acr-verifier.secretNames" .) }}{{- $names = append $names (include "acr-verifier.secretVolume" .) -}}{{- end -}}
{{- if eq (include "acr-verifier.nodeFiles" .) "true" -}}
{{- range .Values.nodeFiles.paths }}{{- $names = append $names (include "acr-verifier.nodeVolume" .path) -}}{{- end -}}
{{- end -}}
{{- $names | toJson -}}
{{- end -}}
