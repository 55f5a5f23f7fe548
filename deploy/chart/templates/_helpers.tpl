{{/* Names, labels, the agent's configuration, and what agent and smoke check have in common. */}}

{{- define "acr-verifier.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* 50 characters: Jobs and labels take 63, and suffixes follow. */}}
{{- define "acr-verifier.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "acr-verifier.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "acr-verifier.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Objects outside of the release's namespace carry it in their name: a second release must not meet the first. */}}
{{- define "acr-verifier.outerName" -}}
{{- printf "%s-%s" .Release.Namespace (include "acr-verifier.fullname" .) -}}
{{- end -}}

{{- define "acr-verifier.selectorLabels" -}}
app.kubernetes.io/name: {{ include "acr-verifier.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of an object: every label but the component, which is its caller's. */}}
{{- define "acr-verifier.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "acr-verifier.podLabels" . }}
{{- end -}}

{{/* Of a pod: without the chart's version, which alone is no reason to replace one. */}}
{{- define "acr-verifier.podLabels" -}}
{{ include "acr-verifier.selectorLabels" . }}
app.kubernetes.io/version: {{ include "acr-verifier.tag" . | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: acr-verifier
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

{{/* "true" where Events are published, which is the default of the agent too. */}}
{{- define "acr-verifier.events" -}}
{{- ne (toString (.Values.config.events).enabled) "false" -}}
{{- end -}}

{{- define "acr-verifier.serverAddress" -}}
{{- (.Values.config.server).address | default (printf "0.0.0.0:%d" (int .Values.port)) -}}
{{- end -}}

{{/* The folder of a Secret with credentials. */}}
{{- define "acr-verifier.credentialsPath" -}}
{{- printf "/var/run/secrets/acr-verifier/%s" . -}}
{{- end -}}

{{/* The Secrets that images name, each once, as a JSON list. */}}
{{- define "acr-verifier.secretNames" -}}
{{- $names := list -}}
{{- range .Values.config.images -}}
{{- with (.credentials).secretName -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* The volume of a Secret: its name may be longer than that of a volume. */}}
{{- define "acr-verifier.secretVolume" -}}
{{- printf "credentials-%s" (sha256sum . | trunc 10) -}}
{{- end -}}

{{/* The agent's configuration file: the values' own keys, with paths in place of the names of Secret and ConfigMap. */}}
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
{{- with .Values.config.tls -}}
  {{- $file := .caFile -}}
  {{- if .caConfigMap }}{{- $file = "/etc/acr-verifier/ca.pem" -}}{{- end -}}
  {{- $_ := set $config "tls" (dict "caFile" $file) -}}
{{- end -}}
{{- if eq (include "acr-verifier.nodeFiles" .) "true" }}{{- $_ := set $config "nodeFiles" (dict "root" "/host") -}}{{- end -}}
{{- $_ := set $config "server" (dict "address" (include "acr-verifier.serverAddress" .)) -}}
{{- $_ := set $config "events" (dict "enabled" (eq (include "acr-verifier.events" .) "true")) -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The digest that an agent computes of its file: that of the ConfigMap's text, which ends in one line break. */}}
{{- define "acr-verifier.configDigest" -}}
{{- printf "sha256:%s" (printf "%s\n" (include "acr-verifier.config" .) | sha256sum) -}}
{{- end -}}

{{/* Passes Pod Security `restricted`. The number is above those that systems give to people and services. */}}
{{- define "acr-verifier.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "acr-verifier.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
The service account's token, where a client library looks for it. Never by automounting: that would also happen where
nothing asks the API server, and some clusters forbid or undo it.
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

{{/* Whether an object of a monitoring API is made: its value is true, or auto where the cluster has it. */}}
{{- define "acr-verifier.isWanted" -}}
{{- $has := .root.Capabilities.APIVersions.Has .api -}}
{{- or (eq (toString .value) "true") (and (eq (toString .value) "auto") $has) -}}
{{- end -}}

{{/* How long a whole smoke check may take: every run has its time, and half a minute for its image and its start. */}}
{{- define "acr-verifier.smokeSeconds" -}}
{{- $seconds := div (int64 (include "acr-verifier.milliseconds" .Values.smoke.timeout)) 1000 -}}
{{- mul (add $seconds 30) (add (int .Values.smoke.retries) 1) -}}
{{- end -}}

{{/* "true" where the node's own files are mounted. */}}
{{- define "acr-verifier.nodeFiles" -}}
{{- ternary .Values.hostNetwork (eq (toString .Values.nodeFiles.enabled) "true") (eq (toString .Values.nodeFiles.enabled) "auto") -}}
{{- end -}}

{{/* The name of the volume of a path of the node. */}}
{{- define "acr-verifier.nodeVolume" -}}
{{- printf "node%s" (regexReplaceAll "[^a-z0-9]+" (lower .) "-") | trunc 63 | trimSuffix "-" -}}
{{- end -}}
