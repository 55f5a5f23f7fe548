{{/* The smoke check: its names, and the Job that every mode runs. */}}

{{- define "acr-verifier.smokeAccount" -}}
{{- .Values.smoke.serviceAccount.name | default (printf "%s-smoke" (include "acr-verifier.fullname" .)) -}}
{{- end -}}

{{/* Maximum seconds of a smoke check: each run has its timeout plus 30 s to pull its image and start. */}}
{{- define "acr-verifier.smokeSeconds" -}}
{{- $seconds := div (int64 (include "acr-verifier.milliseconds" .Values.smoke.timeout)) 1000 -}}
{{- mul (add $seconds 30) (add (int .Values.smoke.retries) 1) -}}
{{- end -}}

{{/*
The name of the Job or CronJob. A Job cannot be changed, so in mode `job` the name changes with its content, and with the
revision of the release: every upgrade by Helm runs the check. Argo CD renders each version as revision 1. A CronJob's name has
at most 52 characters, because those of its Jobs end in a time.
*/}}
{{- define "acr-verifier.smokeName" -}}
{{- $name := printf "%s-smoke" (include "acr-verifier.fullname" .) -}}
{{- if eq .Values.smoke.mode "job" -}}
{{- printf "%s-%s" $name (printf "%v\n%s" .Release.Revision (include "acr-verifier.smokeJob" .) | sha256sum | trunc 6) -}}
{{- else if eq .Values.smoke.mode "cronjob" -}}
{{- printf "%s-smoke" (include "acr-verifier.fullname" . | trunc 46 | trimAll "-.") -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end -}}

{{/*
"true" if the Job belongs to a hook of Helm or Argo CD, which leaves it behind and does not recreate it. Its TTL then deletes it.
Without a hook, a GitOps tool would recreate a deleted Job and repeat the check.
*/}}
{{- define "acr-verifier.smokeIsHook" -}}
{{- $annotations := default dict .Values.smoke.annotations -}}
{{- or (eq .Values.smoke.mode "test") (and (eq .Values.smoke.mode "job") (or (hasKey $annotations "helm.sh/hook") (hasKey $annotations "argocd.argoproj.io/hook"))) -}}
{{- end -}}

{{/* The specification of the Job. */}}
{{- define "acr-verifier.smokeJob" -}}
{{- $smoke := .Values.smoke -}}
backoffLimit: {{ $smoke.retries }}
# Without a deadline, a Job whose image cannot be pulled would wait indefinitely.
activeDeadlineSeconds: {{ include "acr-verifier.smokeSeconds" . }}
{{- if eq (include "acr-verifier.smokeIsHook" .) "true" }}
ttlSecondsAfterFinished: {{ $smoke.ttlSecondsAfterFinished }}
{{- end }}
podFailurePolicy:
  rules:
    # 1 (a problem was found) and 2 (invalid usage) would not change in another run. 3 (inconclusive) is retried.
    - action: FailJob
      onExitCodes: {containerName: smoke, operator: In, values: [1, 2]}
    - action: Ignore
      # The status is the default; the schemas of older versions require it.
      onPodConditions: [{type: DisruptionTarget, status: "True"}]
template:
  metadata:
    labels:
      {{- include "acr-verifier.podLabels" . | nindent 6 }}
      app.kubernetes.io/component: smoke
  spec:
    {{- with .Values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    serviceAccountName: {{ include "acr-verifier.smokeAccount" . | quote }}
    automountServiceAccountToken: false
    enableServiceLinks: false
    hostNetwork: {{ $smoke.hostNetwork }}
    restartPolicy: Never
    {{- with $smoke.priorityClassName }}
    priorityClassName: {{ . | quote }}
    {{- end }}
    nodeSelector:
      {{- merge (dict "kubernetes.io/os" "linux") (default dict $smoke.nodeSelector) | toYaml | nindent 6 }}
    {{- with $smoke.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $smoke.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    securityContext:
      {{- include "acr-verifier.podSecurityContext" . | nindent 6 }}
    containers:
      - name: smoke
        image: {{ include "acr-verifier.image" . | quote }}
        imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
        args:
          - smoke
          - --namespace
          - {{ .Release.Namespace | quote }}
          - --selector
          - {{ printf "app.kubernetes.io/name=%s,app.kubernetes.io/instance=%s,app.kubernetes.io/component=agent" (include "acr-verifier.name" .) .Release.Name | quote }}
          - --timeout
          - {{ $smoke.timeout | quote }}
          - --sample
          # A number is a float in values.
          - {{ kindIs "string" $smoke.sample | ternary $smoke.sample (int64 $smoke.sample | toString) | quote }}
          {{- if (.Values.config.server).keySecret }}
          - --key-file
          - {{ printf "%s/key" (include "acr-verifier.keyFolder" .) | quote }}
          {{- end }}
          # A pass must apply to this release: agents that still run the previous configuration are retried.
          - --expect-config
          - {{ include "acr-verifier.configDigest" . | quote }}
        # AKS Deployment Safeguards deny containers without both. The program serves nothing here, so they only show that it
        # can be executed.
        livenessProbe:
          exec: {command: [/acr-verifier, --version]}
          periodSeconds: 30
          timeoutSeconds: 10
          failureThreshold: 3
        readinessProbe:
          exec: {command: [/acr-verifier, --version]}
          periodSeconds: 30
          timeoutSeconds: 10
          failureThreshold: 3
        resources:
          {{- toYaml $smoke.resources | nindent 10 }}
        securityContext:
          {{- include "acr-verifier.securityContext" . | nindent 10 }}
        volumeMounts:
          {{- include "acr-verifier.tokenMount" . | nindent 10 }}
          {{- if (.Values.config.server).keySecret }}
          {{- include "acr-verifier.keyMount" . | nindent 10 }}
          {{- end }}
    volumes:
      {{- include "acr-verifier.tokenVolume" . | nindent 6 }}
      {{- if (.Values.config.server).keySecret }}
      {{- include "acr-verifier.keyVolume" . | nindent 6 }}
      {{- end }}
{{- end -}}
