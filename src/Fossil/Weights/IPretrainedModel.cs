namespace Fossil.Weights;

/// <summary>A model that knows its checkpoint, and whose number of tokens can be changed (transformers: <c>PreTrainedModel</c>).</summary>
internal interface IPretrainedModel
{
    /// <summary>What it was loaded from: an id of the hub, a folder or a file; null where it was made.</summary>
    string? NameOrPath { get; }

    /// <summary>Whether the number of tokens is another than the checkpoint's, so that an adapter is of no use without the embedding and the output layer.</summary>
    bool IsVocabularyResized { get; }

    /// <summary>The call that gives the model <paramref name="size"/> tokens, for messages.</summary>
    string ResizeCall(long size);
}
