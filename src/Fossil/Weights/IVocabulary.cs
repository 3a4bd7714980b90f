namespace Fossil.Weights;

/// <summary>A model whose number of tokens can be changed (transformers: <c>resize_token_embeddings</c>).</summary>
internal interface IVocabulary
{
    /// <summary>Whether it is another than the checkpoint's, so that an adapter is of no use without the embedding and the output layer.</summary>
    bool IsResized { get; }

    /// <summary>The call that gives the model <paramref name="size"/> tokens, for messages.</summary>
    string ResizeCall(long size);
}
